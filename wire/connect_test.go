package wire

import (
	"errors"
	"testing"
)

// A nonce of the wrong size is absent, so that the signature cannot verify:
// the courier answers StatusInvalid and need not close.
func TestConnectWithAShortNonce(t *testing.T) {
	m, err := ParseConnect(appendItem(nil, 13, make([]byte, NonceBytes-1)))
	if err != nil || m.Nonce != (Nonce{}) {
		t.Errorf("got %x, %v, want no nonce", m.Nonce, err)
	}
}

func TestConnectBoundsTheChain(t *testing.T) {
	var payload []byte
	for i := range byte(MaxCertificates + 3) {
		payload = appendItem(payload, 12, []byte{0x30, i})
	}
	m, err := ParseConnect(payload)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(m.Certificates); got != MaxCertificates {
		t.Fatalf("got %d certificates, want %d", got, MaxCertificates)
	}
	for i, der := range m.Certificates {
		if int(der[1]) != i {
			t.Errorf("certificate %d is number %d of the frame", i, der[1])
		}
	}
}

// Cellular is zero, but is not the same as nothing.
func TestConnectTellsCellularFromNothing(t *testing.T) {
	m, err := ParseConnect(nil)
	if err != nil || m.HasInterface {
		t.Errorf("empty: got %v, %v", m.HasInterface, err)
	}
	m, err = ParseConnect(appendUint8(nil, 6, 0))
	if err != nil || !m.HasInterface || m.Interface != InterfaceCellular {
		t.Errorf("got %v, %v, %v, want cellular", m.HasInterface, m.Interface, err)
	}
}

// A frame without status must not pass for an accepting one.
func TestResponsesNeedAStatus(t *testing.T) {
	if m, err := ParseConnectAck(nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("ConnectAck: got %+v, %v, want ErrMalformed", m, err)
	}
	if m, err := ParseAppTokenResponse(nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("AppTokenResponse: got %+v, %v, want ErrMalformed", m, err)
	}
}
