// Sideshow sends one notification with github.com/sideshow/apns2, the way its
// users do, and prints what the library made of the answer.
//
// It is a module of its own, so that the library and what it needs stay out of
// Herald's go.mod. The versions are those that the library asks for itself.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/certificate"
	"github.com/sideshow/apns2/payload"
	"github.com/sideshow/apns2/token"
	"golang.org/x/net/http2"
)

// platform is what this program reads of dev.json.
type platform struct {
	Gateway     string `json:"gateway.sandbox"`
	CA          string `json:"ca"`
	TeamID      string `json:"team_id"`
	KeyID       string `json:"key_id"`
	Key         string `json:"key"`
	Certificate string `json:"certificate.pem"`
	Topic       string `json:"topic"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("sideshow: ")
	dev := flag.String("dev", "", "dev.json of a running herald dev")
	with := flag.String("with", "", "credential: certificate or token")
	deviceToken := flag.String("device-token", "", "device token in hex")
	id := flag.String("apns-id", "", "apns-id of the notification")
	body := flag.String("body", "", "text of the alert")
	flag.Parse()
	if err := run(*dev, *with, *deviceToken, *id, *body); err != nil {
		log.Fatal(err)
	}
}

func run(dev, with, deviceToken, id, body string) error {
	raw, err := os.ReadFile(dev)
	if err != nil {
		return err
	}
	var p platform
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	sender, err := p.sender(with)
	if err != nil {
		return err
	}
	sender.Host = "https://" + p.Gateway

	answer, err := sender.Push(&apns2.Notification{
		ApnsID:      id,
		DeviceToken: deviceToken,
		Topic:       p.Topic,
		PushType:    apns2.PushTypeAlert,
		Priority:    apns2.PriorityHigh,
		Payload:     payload.NewPayload().Alert(body).Badge(3).Custom("from", "sideshow"),
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"status":  answer.StatusCode,
		"reason":  answer.Reason,
		"apns_id": answer.ApnsID,
		"sent":    answer.Sent(),
	})
}

// sender returns the library's client for one kind of credential, trusting
// the authority of p alone.
func (p platform) sender(with string) (*apns2.Client, error) {
	var sender *apns2.Client
	switch with {
	case "certificate":
		c, err := certificate.FromPemFile(p.Certificate, "")
		if err != nil {
			return nil, err
		}
		sender = apns2.NewClient(c)
	case "token":
		key, err := token.AuthKeyFromFile(p.Key)
		if err != nil {
			return nil, err
		}
		sender = apns2.NewTokenClient(&token.Token{AuthKey: key, KeyID: p.KeyID, TeamID: p.TeamID})
	default:
		return nil, fmt.Errorf("-with %q: want certificate or token", with)
	}

	authority, err := os.ReadFile(p.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s holds no certificate", p.CA)
	}
	transport, ok := sender.HTTPClient.Transport.(*http2.Transport)
	if !ok {
		return nil, errors.New("the library no longer uses an http2.Transport")
	}
	if transport.TLSClientConfig == nil {
		transport.TLSClientConfig = new(tls.Config)
	}
	transport.TLSClientConfig.RootCAs = roots
	return sender, nil
}
