package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/console"
	"github.com/heraldpush/herald/device"
)

// Values are the addresses, names and files of a run, by the keys of dev.json.
// A part that this version does not have has no key.
type Values map[Key]string

// Key is a key of dev.json.
type Key string

// The keys of dev.json, besides those that MagicDeviceToken returns.
const (
	KeyGatewaySandbox     Key = "gateway.sandbox"          // host:port
	KeyGatewayProduction  Key = "gateway.production"       // host:port
	KeyLegacySandbox      Key = "legacy.sandbox"           // host:port
	KeyLegacyProduction   Key = "legacy.production"        // host:port
	KeyFeedbackSandbox    Key = "feedback.sandbox"         // host:port
	KeyFeedbackProduction Key = "feedback.production"      // host:port
	KeyChannelsSandbox    Key = "channels.sandbox"         // host:port
	KeyChannelsProduction Key = "channels.production"      // host:port
	KeyCourier            Key = "courier"                  // host:port
	KeyHTTP               Key = "http"                     // base URL of console and platform API
	KeyAPIKey             Key = "api_key"                  // of the platform API, another at each run
	KeyActivation         Key = "activation"               // URL
	KeyEnrolmentCode      Key = "enrolment_code"           // may be used any number of times
	KeyCA                 Key = "ca"                       // path of the root certificate, PEM
	KeyServerName         Key = "server_name"              // that the server certificate is valid for
	KeyTeamID             Key = "team_id"                  //
	KeyKeyID              Key = "key_id"                   //
	KeyKey                Key = "key"                      // path of the .p8 file
	KeyCertificatePEM     Key = "certificate.pem"          // path of certificate and key
	KeyCertificateP12     Key = "certificate.p12"          // path of the same
	KeyP12Password        Key = "certificate.p12_password" //
	KeyTopic              Key = "topic"                    //
	KeyDeviceToken        Key = "device_token"             // of the demo app on the virtual device, hex
	KeyBaseToken          Key = "base_token"               // of the virtual device at the courier, hex
	KeyBenchDeviceToken   Key = "bench_device_token"       // of a device that never connects, hex
)

// values returns what dev.json says of r.
func (r *rig) values(phone *device.Device, token, idle apns.DeviceToken, apiKey string) Values {
	v := Values{
		KeyGatewaySandbox:     r.listeners.platform.Gateway[apns.Sandbox].Addr().String(),
		KeyGatewayProduction:  r.listeners.platform.Gateway[apns.Production].Addr().String(),
		KeyLegacySandbox:      r.listeners.platform.Legacy[apns.Sandbox].Addr().String(),
		KeyLegacyProduction:   r.listeners.platform.Legacy[apns.Production].Addr().String(),
		KeyFeedbackSandbox:    r.listeners.platform.Feedback[apns.Sandbox].Addr().String(),
		KeyFeedbackProduction: r.listeners.platform.Feedback[apns.Production].Addr().String(),
		KeyChannelsSandbox:    r.listeners.platform.Channels[apns.Sandbox].Addr().String(),
		KeyChannelsProduction: r.listeners.platform.Channels[apns.Production].Addr().String(),
		KeyCourier:            r.listeners.platform.Courier.Addr().String(),
		KeyHTTP:               "http://" + r.listeners.http.Addr().String(),
		KeyAPIKey:             apiKey,
		KeyActivation:         r.activationURL(),
		KeyEnrolmentCode:      r.dir.state.EnrolmentCode,
		KeyCA:                 r.developer.root,
		KeyServerName:         r.platform.ServerName(),
		KeyTeamID:             string(r.developer.team),
		KeyKeyID:              string(r.developer.keyID),
		KeyKey:                r.developer.p8,
		KeyCertificatePEM:     r.developer.ck,
		KeyCertificateP12:     r.developer.pkcs12,
		KeyP12Password:        r.dir.state.PKCS12Password,
		KeyTopic:              string(Topic),
		KeyDeviceToken:        token.Hex(),
		KeyBaseToken:          phone.BaseToken().Hex(),
		KeyBenchDeviceToken:   idle.Hex(),
	}
	v.addMagic()
	return v
}

// facts returns what the console shows; no secret is among it.
func (v Values) facts() []console.Fact {
	return []console.Fact{
		{Name: "Sandbox gateway", Value: v[KeyGatewaySandbox]},
		{Name: "Production gateway", Value: v[KeyGatewayProduction]},
		{Name: "Sandbox legacy interface", Value: v[KeyLegacySandbox]},
		{Name: "Sandbox feedback", Value: v[KeyFeedbackSandbox]},
		{Name: "Sandbox channels", Value: v[KeyChannelsSandbox]},
		{Name: "Courier", Value: v[KeyCourier]},
		{Name: "Activation", Value: v[KeyActivation]},
		{Name: "Team ID", Value: v[KeyTeamID]},
		{Name: "Key ID", Value: v[KeyKeyID]},
		{Name: "App ID", Value: v[KeyTopic]},
		{Name: "Device token (sandbox)", Value: v[KeyDeviceToken]},
	}
}

// Curl returns a line for a shell that sends a notification to the virtual
// device.
func (v Values) Curl() string {
	return fmt.Sprintf(`curl -i --http2 --cacert %s --cert %s -H 'apns-topic: %s' -H 'apns-push-type: alert' `+
		`-d '{"aps":{"alert":{"title":"Hello","body":"from curl"},"sound":"default","badge":1}}' https://%s/3/device/%s`,
		quote(v[KeyCA]), quote(v[KeyCertificatePEM]), v[KeyTopic], v[KeyGatewaySandbox], v[KeyDeviceToken])
}

// quote quotes a path for a shell, where it has to be.
func quote(path string) string {
	isPlain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:,@", r)
	}
	if strings.TrimFunc(path, isPlain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

func (h *home) writeValues(v Values) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return h.Write(valuesFile, append(b, '\n'), 0o600)
}

// removeValues removes dev.json: nothing answers there.
func (h *home) removeValues() error {
	if err := os.Remove(h.Path(valuesFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
