package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/provider/event"
)

// The vector of the libraries of Standard Webhooks.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestSign(t *testing.T) {
	s, err := event.ParseSecret(vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Sign(vectorID, time.Unix(vectorTime, 0), []byte(vectorBody)); got != vectorSignature {
		t.Errorf("got %s, want %s", got, vectorSignature)
	}
	for name, got := range map[string]string{
		"another ID":   s.Sign("msg_2", time.Unix(vectorTime, 0), []byte(vectorBody)),
		"another time": s.Sign(vectorID, time.Unix(vectorTime+1, 0), []byte(vectorBody)),
		"another body": s.Sign(vectorID, time.Unix(vectorTime, 0), []byte(vectorBody+" ")),
	} {
		if got == vectorSignature {
			t.Errorf("%s has the same signature", name)
		}
	}
}

func TestParseSecret(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "a prefix": "whsec_", "no prefix": vectorSecret[6:], "no base 64": "whsec_!" + vectorSecret[7:],
		"too short": "whsec_" + strings.Repeat("A", 28), "too long": "whsec_" + strings.Repeat("A", 92),
		"a space more": vectorSecret + " ", "very long": "whsec_" + strings.Repeat("A", 1<<16),
	} {
		if _, err := event.ParseSecret(text); !errors.Is(err, event.ErrSecret) || len(text) > 20 && strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want %v", name, err, event.ErrSecret)
		}
	}
}

// A secret shows itself when it is revealed, and not before.
func TestSecretIsNotShown(t *testing.T) {
	s, err := event.ParseSecret(vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	around := struct{ Secret event.Secret }{s}
	text, err := json.Marshal(around)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{
		s.String(), fmt.Sprint(s), fmt.Sprintf("%+v %#v %q %x", s, s, s, s), fmt.Sprintf("%+v %#v", around, around), s.LogValue().String(), string(text),
	} {
		if strings.Contains(got, "MfKQ9r8") {
			t.Errorf("it is in %s", got)
		}
	}
	if s.Reveal() != vectorSecret || (event.Secret{}).Reveal() != "" {
		t.Errorf("got %q and %q, want the secret and nothing", s.Reveal(), event.Secret{}.Reveal())
	}
}
