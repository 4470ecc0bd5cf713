package courier

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/wire"
)

// quietLine is a line on which nothing is.
type quietLine struct{ aside int }

func (*quietLine) Wake()             {}
func (*quietLine) part()             {}
func (*quietLine) cut()              {}
func (*quietLine) proven()           {}
func (l *quietLine) yield()          { l.aside++ }
func (l *quietLine) resume()         { l.aside-- }
func (*quietLine) remote() slog.Attr { return slog.Attr{} }

// States in which a conversation is fuzzed.
const (
	stateSilent    = iota // no Connect
	stateConnected        // no Filter
	stateFiltered         // a notification waits to be acknowledged
	stateParting          // the device was told to leave
	states
)

// booth is what conversations are had with.
type booth struct {
	courier *Courier
	key     *ecdsa.PrivateKey
	cert    []byte
	id      apns.DeviceID
}

func newBooth(tb testing.TB) *booth {
	tb.Helper()
	fail := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	ctx := tb.Context()
	p, err := portal.Open(ctx, portal.Config{Store: memory.NewPortal()})
	fail(err)
	r, err := registry.Open(ctx, registry.Config{Store: memory.NewRegistry()})
	fail(err)
	s, err := spool.New(spool.Config{Store: memory.NewSpool(1000), Logger: slog.New(slog.DiscardHandler)})
	fail(err)
	tb.Cleanup(func() { _ = s.Close() })
	c, err := New(Config{
		Portal: p, Registry: r, Spool: s, MaxConnects: -1, RedirectHost: "elsewhere.example",
		ServerCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }, //nolint:nilnil // there is no TLS
		Logger:            slog.New(slog.DiscardHandler),
	})
	fail(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fail(err)
	csr, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "device"})
	fail(err)
	_, code, err := p.CreateEnrolmentCode(ctx, -1, 0)
	fail(err)
	issued, err := p.ActivateDevice(ctx, code, csr)
	fail(err)
	return &booth{c, key, issued.DER, issued.Device}
}

// hello returns a Connect that is good now.
func (b *booth) hello(tb testing.TB) []byte {
	tb.Helper()
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails
	nonce := wire.NewNonce(time.Now(), random)
	signature, err := nonce.Sign(b.key)
	if err != nil {
		tb.Fatal(err)
	}
	return wire.Connect{State: wire.StateOnline, Certificates: [][]byte{b.cert}, Nonce: nonce, Signature: signature}.Append(nil)
}

// begin returns a conversation in a state.
func (b *booth) begin(tb testing.TB, state int) (*conversation, *quietLine) {
	tb.Helper()
	l := new(quietLine)
	v := &conversation{
		greeting: greeting{courier: b.courier, env: apns.Sandbox},
		line:     l, greetBy: time.Now().Add(connectTimeout),
	}
	if state == stateSilent {
		return v, l
	}
	say := func(frame []byte) {
		tb.Helper()
		if _, err := v.receive(tb.Context(), frame, nil); err != nil {
			tb.Fatal(err)
		}
	}
	say(b.hello(tb))
	if state == stateConnected {
		return v, l
	}
	topic := apns.Topic("com.example.demo")
	say(wire.Filter{BaseToken: v.session.base, Enabled: []apns.TopicHash{topic.Hash()}}.Append(nil))
	at := apns.Address{Device: v.session.device, Environment: apns.Sandbox, Topic: topic.Hash()}
	if _, err := b.courier.cfg.Spool.Offer(tb.Context(), at, "token", apns.Notification{Topic: topic, Payload: apns.Payload(`{}`)}); err != nil {
		tb.Fatal(err)
	}
	if out, more, err := v.deliver(nil, maxBatchBytes); len(out) == 0 || more || err != nil {
		tb.Fatalf("deliver: got %d bytes, %v, %v", len(out), more, err)
	}
	if state == stateParting {
		if _, err := v.part(time.Now(), nil); err != nil {
			tb.Fatal(err)
		}
	}
	return v, l
}

// FuzzConversation says anything to a courier, in every state and in any pieces.
// What is written are whole frames, no store is waited for at the end, and how
// the bytes are cut up makes no difference to how it ends.
func FuzzConversation(f *testing.F) {
	b := newBooth(f)
	for state := range states {
		f.Add(uint8(state), uint8(3), []byte{byte(wire.CommandKeepAlive), 0, 0, 0, 0})
		f.Add(uint8(state), uint8(0), wire.Ack{MessageID: 1, HasMessageID: true}.Append(nil))
		f.Add(uint8(state), uint8(9), b.hello(f))
		f.Add(uint8(state), uint8(1), []byte{7, 0, 0, 0, 4, 1, 0, 1, 1})
		f.Add(uint8(state), uint8(1), []byte{9, 0xff, 0xff, 0xff, 0xff})
	}
	f.Fuzz(func(t *testing.T, state, piece uint8, said []byte) {
		whole, wholeErr := b.say(t, int(state)%states, len(said), said)
		pieces, piecesErr := b.say(t, int(state)%states, int(piece)+1, said)
		if whole != pieces || (wholeErr == nil) != (piecesErr == nil) {
			t.Errorf("got %d frames and %v, in pieces %d and %v", whole, wholeErr, pieces, piecesErr)
		}
	})
}

// say says something in pieces, and returns how many frames were answered and how
// the conversation ended.
func (b *booth) say(t *testing.T, state, piece int, said []byte) (frames int, err error) {
	t.Helper()
	b.courier.nonces = nonces{} // the same may be said twice
	v, l := b.begin(t, state)
	defer v.end()
	var out []byte
	for rest := said; len(rest) > 0 && err == nil; {
		n := min(piece, len(rest))
		out, err = v.receive(context.WithoutCancel(t.Context()), rest[:n], out)
		rest = rest[n:]
		if len(v.rest) > wire.MaxPayloadBytes+64 {
			t.Fatalf("%d bytes of a frame are kept", len(v.rest))
		}
	}
	if err == nil {
		if due := v.due(); due.IsZero() || time.Until(due) > 3*24*time.Hour {
			t.Errorf("tick is due at %v", due)
		}
		if out, err = v.tick(time.Now(), out); err != nil {
			t.Errorf("tick before its time: %v", err)
		}
		var more bool
		if out, more, err = v.deliver(out, maxBatchBytes); more || err != nil {
			t.Errorf("deliver: got %v, %v", more, err)
		}
	}
	if l.aside != 0 {
		t.Errorf("the line is aside %d times", l.aside)
	}
	for len(out) > 0 {
		_, n, err := wire.NextFrame(out, 1<<20)
		if err != nil {
			t.Fatalf("what is written: %v", err)
		}
		frames++
		out = out[n:]
	}
	return frames, err
}
