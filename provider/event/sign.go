package event

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The header fields of a delivery, as the specification of Standard Webhooks 1.0.0
// names them (https://www.standardwebhooks.com).
const (
	// HeaderID names the delivery; one that is tried again has the same.
	HeaderID = "webhook-id"
	// HeaderTimestamp is when it was sent, in seconds since the epoch.
	HeaderTimestamp = "webhook-timestamp"
	// HeaderSignature has one or more signatures, with spaces between them.
	HeaderSignature = "webhook-signature"
)

// Secret is what the deliveries of a webhook are signed with. It does not show
// itself to whoever prints or logs it, or makes JSON of it. The zero value is none.
type Secret struct {
	// A function, as what prints a struct around it looks into strings, but not
	// into functions.
	text func() string
}

const (
	secretPrefix = "whsec_"
	secretBytes  = 32
	// What the specification allows.
	minSecretBytes, maxSecretBytes = 24, 64
)

// ErrSecret says that a text is no secret of a webhook: "whsec_" and the base 64 of
// 24 to 64 bytes.
var ErrSecret = errors.New("not a secret of a webhook")

// ParseSecret reads a secret. The error is ErrSecret, and does not repeat it.
func ParseSecret(text string) (Secret, error) {
	digits, ok := strings.CutPrefix(text, secretPrefix)
	if !ok || len(digits) > base64.StdEncoding.EncodedLen(maxSecretBytes) {
		return Secret{}, ErrSecret
	}
	key, err := base64.StdEncoding.DecodeString(digits)
	if err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
		return Secret{}, ErrSecret
	}
	return Secret{func() string { return text }}, nil
}

func newSecret() Secret {
	key := make([]byte, secretBytes)
	rand.Read(key) // it never fails
	text := secretPrefix + base64.StdEncoding.EncodeToString(key)
	return Secret{func() string { return text }}
}

// Reveal returns the text of the secret, empty if it is none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return s.text()
}

// Sign returns the signature of a delivery: "v1," and the base 64 of the HMAC-SHA256
// of its ID, the seconds since the epoch and its body, with dots between them.
func (s Secret) Sign(id string, at time.Time, body []byte) string {
	// It was read before.
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Reveal(), secretPrefix))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sign adds to h what a receiver knows a delivery by, signed with each secret.
func sign(h http.Header, secrets []Secret, id string, at time.Time, body []byte) {
	var signatures []string
	for _, s := range secrets {
		signatures = append(signatures, s.Sign(id, at, body))
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, strings.Join(signatures, " "))
}

// String says what it is without showing it.
func (s Secret) String() string { return "secret of a webhook" }

// Format says what it is without showing it, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(s.String())) // as fmt does: its State keeps the error
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText says what it is without showing it; so does JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
