package device

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// FuzzIdentity feeds the files and answers that hold keys and certificates.
func FuzzIdentity(f *testing.F) {
	own := folder{dir: f.TempDir(), environment: apns.Sandbox}
	key, err := own.pendingKey()
	if err != nil {
		f.Fatal(err)
	}
	root := credential.Authority{Key: key}
	v := credential.Validity{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if root.Certificate, err = credential.NewRoot("Test Root", key, v); err != nil {
		f.Fatal(err)
	}
	const id = apns.DeviceID("6f1c2c1e-9f0a-4a5e-8d39-0a6f4b1f9c11")
	cert, err := root.IssueDevice(id, key.Public(), v)
	if err != nil {
		f.Fatal(err)
	}
	text := string(credential.MarshalCertificatePEM(cert, root.Certificate))
	answer, err := json.Marshal(wire.ActivationResponse{DeviceID: id, Certificate: text})
	if err != nil {
		f.Fatal(err)
	}
	pending, err := own.read(pendingFile)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(answer), string(pending), text, strings.Repeat(text, 5), "", "{}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if identity, got, err := parseActivation(data, key); err == nil {
			if got == "" || identity.Certificate == nil || len(identity.Chain) > maxIssuers {
				t.Errorf("answer: got %q with %d issuers", got, len(identity.Chain))
			}
		}
		if key, ok := parsePendingKey(data); ok && key == nil {
			t.Error("pending key: got none, and no error")
		}
	})
}

// TestAnswerIsBounded gives an answer with a certificate too many.
func TestAnswerIsBounded(t *testing.T) {
	f := folder{}
	key, err := f.pendingKey()
	if err != nil {
		t.Fatal(err)
	}
	root := credential.Authority{Key: key}
	v := credential.Validity{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if root.Certificate, err = credential.NewRoot("Test Root", key, v); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat(string(credential.MarshalCertificatePEM(root.Certificate)), 2+maxIssuers)
	answer, err := json.Marshal(wire.ActivationResponse{Certificate: text})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := parseActivation(answer, key); err == nil || !strings.Contains(err.Error(), "6 PEM blocks, at most 5") {
		t.Errorf("got %v, want the number that is too large", err)
	}
}
