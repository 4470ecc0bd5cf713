package apnsclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sort"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnsclient/payload"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/credential"
)

// exampleGateway is a gateway in memory, in place of Apple's, and what it takes to
// send to it.
func exampleGateway() (*scripted.Gateway, apnsclient.Config) {
	g, err := scripted.Config{}.Start()
	if err != nil {
		log.Fatal(err)
	}
	key, err := credential.NewProviderKey()
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := apnsclient.NewProviderTokens("ABCDE12345", "2X9R4HXF34", key)
	if err != nil {
		log.Fatal(err)
	}
	return g, apnsclient.Config{
		Environment: apns.Production, ProviderTokens: tokens, Host: g.Addr(), Roots: g.Roots(), Dial: g.Dial,
	}
}

// A push to one device.
func Example() {
	gateway, config := exampleGateway()
	defer gateway.Close()

	sender, err := apnsclient.New(config)
	if err != nil {
		log.Fatal(err)
	}
	defer sender.Close()
	phone, err := apnsclient.ParseDeviceToken("740f4707 bebcf74f 9b7c25d4 8e335894 5f6aa01d a5ddb387 462c7eaf 61bb78ad")
	if err != nil {
		log.Fatal(err)
	}
	body, err := payload.APS{Alert: payload.Alert{Title: "Table for two", Body: "Sam invites you to dinner."}}.Marshal()
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := sender.Push(context.Background(), phone, apns.Notification{Topic: "com.example.demo", Payload: body})
	fmt.Println(apnsclient.OutcomeOf(err), receipt.ID.Valid())
	// Output: accepted true
}

// What to do about a push that did not go through.
func ExampleOutcomeOf() {
	gateway, config := exampleGateway()
	defer gateway.Close()
	gateway.Reply(scripted.Refuse(apns.Unregistered).Since(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)))

	sender, err := apnsclient.New(config)
	if err != nil {
		log.Fatal(err)
	}
	defer sender.Close()
	_, err = sender.Push(context.Background(), "\x74\x0f\x47\x07", apns.Notification{Topic: "com.example.demo", Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`)})
	switch apnsclient.OutcomeOf(err) {
	case apnsclient.Accepted:
	case apnsclient.TokenGone:
		if gone, ok := errors.AsType[*apns.Rejection](err); ok {
			fmt.Println("forget the device token, if the app gave it to you before", gone.Since.Format(time.DateOnly))
		}
	case apnsclient.RetryLater, apnsclient.ConnectionFault:
		pause, _ := apnsclient.RetryAfter(err)
		fmt.Println("send it again after", pause)
	case apnsclient.Unknown:
		fmt.Println("it may have been delivered:", err)
	case apnsclient.Invalid, apnsclient.Rejected, apnsclient.ProviderFault:
		fmt.Println("mend it:", err)
	}
	// Output: forget the device token, if the app gave it to you before 2026-11-01
}

// One notification to many devices.
func ExampleSender_PushAll() {
	gateway, config := exampleGateway()
	defer gateway.Close()
	gateway.ReplyTo("\x00\x02", scripted.Refuse(apns.BadDeviceToken))

	sender, err := apnsclient.New(config)
	if err != nil {
		log.Fatal(err)
	}
	defer sender.Close()
	n := &apns.Notification{Topic: "com.example.demo", Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`)}
	pushes := func(yield func(apnsclient.Push) bool) {
		for i, to := range []apns.DeviceToken{"\x00\x01", "\x00\x02", "\x00\x03"} {
			if !yield(apnsclient.Push{To: to, Notification: n, Owner: fmt.Sprint("user ", i+1)}) {
				return
			}
		}
	}
	var lines []string
	for r := range sender.PushAll(context.Background(), pushes) {
		lines = append(lines, fmt.Sprintf("%v: %v", r.Owner, apnsclient.OutcomeOf(r.Err)))
	}
	sort.Strings(lines) // the results come in no particular order
	for _, l := range lines {
		fmt.Println(l)
	}
	// Output:
	// user 1: accepted
	// user 2: rejected
	// user 3: accepted
}

// A certificate in a file, and what is worth knowing of it.
func ExampleLoadCertificate() {
	certificate, err := apnsclient.LoadCertificate("push.p12", os.Getenv("PUSH_P12_PASSWORD"))
	if err != nil {
		log.Fatal(err)
	}
	certificate.OnChange(func(err error) {
		if err != nil {
			log.Printf("the new certificate is no good, so the old one stays: %v", err)
		}
	})
	sender, err := apnsclient.New(apnsclient.Config{Environment: apns.Production, CertificateFile: certificate})
	if err != nil {
		log.Fatal(err)
	}
	defer sender.Close()
	if left := time.Until(sender.CertificateExpires()); left < 30*24*time.Hour {
		log.Printf("the certificate expires in %d days", int(left.Hours()/24))
	}
}

// The proxy that the environment names, if any.
func ExampleProxyFromEnvironment() {
	proxy, err := apnsclient.ProxyFromEnvironment("api.push.apple.com")
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := apnsclient.LoadKey("AuthKey_2X9R4HXF34.p8", "ABCDE12345", "")
	if err != nil {
		log.Fatal(err)
	}
	sender, err := apnsclient.New(apnsclient.Config{Environment: apns.Production, ProviderTokens: tokens, Proxy: proxy})
	if err != nil {
		log.Fatal(err)
	}
	defer sender.Close()
}

// The score of a match, for all who follow it.
func ExampleSender_Broadcast() {
	tokens, err := apnsclient.LoadKey("AuthKey_2X9R4HXF34.p8", "ABCDE12345", "")
	if err != nil {
		log.Fatal(err)
	}
	config := apnsclient.Config{Environment: apns.Production, ProviderTokens: tokens}
	channels, err := apnsclient.NewChannels(config)
	if err != nil {
		log.Fatal(err)
	}
	defer channels.Close()
	sender, err := apnsclient.New(config)
	if err != nil {
		log.Fatal(err)
	}
	defer sender.Close()

	ctx := context.Background()
	match, err := channels.Create(ctx, "com.example.demo", apns.MostRecentMessageStored)
	if err != nil {
		log.Fatal(err)
	}
	body, err := payload.LiveActivity{Event: payload.Update, Timestamp: time.Now(), ContentState: map[string]int{"home": 1, "away": 0}}.Marshal()
	if err != nil {
		log.Fatal(err)
	}
	_, err = sender.Broadcast(ctx, match, apns.Notification{
		Topic: "com.example.demo", Expiration: apns.ExpiresAt(time.Now().Add(time.Hour)), Payload: body,
	})
	if err != nil {
		log.Print(err)
	}
}

// The senders of many customers, each with a key of its own.
func ExamplePool() {
	gateway, config := exampleGateway()
	defer gateway.Close()
	tokens := config.ProviderTokens

	pool := apnsclient.NewPool(apnsclient.PoolConfig{Sender: config, Size: 50})
	defer pool.Close()
	for _, env := range []apns.Environment{apns.Production, apns.Sandbox, apns.Production} {
		sender, release, err := pool.Get(apnsclient.Credential{Environment: env, ProviderTokens: tokens})
		if err != nil {
			log.Fatal(err)
		}
		_, err = sender.Push(context.Background(), "\x74\x0f\x47\x07", apns.Notification{Topic: "com.example.demo", Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`)})
		fmt.Println(sender.Environment(), apnsclient.OutcomeOf(err), pool.Len())
		release()
	}
	// Output:
	// production accepted 1
	// sandbox accepted 2
	// production accepted 2
}
