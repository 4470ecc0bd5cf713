package envelope

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// The golden vector, made by another implementation of AES-GCM.
const (
	goldenID       = "1fa5a59729d2282f"
	goldenContext  = "authority/root"
	goldenSecret   = "a private key"
	goldenEnvelope = "687264311fa5a59729d2282fc8c9cacbcccdcecfd0d1d2d3751d07bceea5914b185171d16e779967" +
		"94f29adf7c12d25f91d4459e5a10296aeb2a9dcc839f6f164f97e0984e69acb832333435363738393a3b3c3d" +
		"99b34e3485029dd5be8dcdb828d609c9bc003dc1f1df6f34432e4c06b7"
)

// goldenKey is the bytes 0 to 31.
func goldenKey(tb testing.TB) Key {
	tb.Helper()
	secret := make([]byte, KeyBytes)
	for i := range secret {
		secret[i] = byte(i)
	}
	k, err := ParseKey(secret)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func newSealer(tb testing.TB, master Key, former ...Key) *Sealer {
	tb.Helper()
	s, err := New(master, former...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newKey(tb testing.TB) Key {
	tb.Helper()
	k, err := NewKey()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func golden(tb testing.TB) []byte {
	tb.Helper()
	b, err := hex.DecodeString(goldenEnvelope)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestGolden(t *testing.T) {
	k := goldenKey(t)
	if got := k.ID().String(); got != goldenID {
		t.Errorf("ID: got %s, want %s", got, goldenID)
	}
	got, err := newSealer(t, k).Open(goldenContext, golden(t))
	if err != nil || string(got) != goldenSecret {
		t.Errorf("got %q, %v, want %q", got, err, goldenSecret)
	}
}

func TestSealAndOpen(t *testing.T) {
	s := newSealer(t, newKey(t))
	for name, secret := range map[string][]byte{
		"empty": {}, "short": []byte("secret"), "longest": bytes.Repeat([]byte{7}, MaxSecretBytes),
	} {
		t.Run(name, func(t *testing.T) {
			sealed, err := s.Seal("context", secret)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := len(sealed), minBytes+len(secret); got != want {
				t.Errorf("length: got %d, want %d", got, want)
			}
			if got, err := s.Open("context", sealed); err != nil || !bytes.Equal(got, secret) {
				t.Errorf("got %d bytes, %v, want what was sealed", len(got), err)
			}
			again, err := s.Seal("context", secret)
			if err != nil || bytes.Equal(again[wrappedStart:], sealed[wrappedStart:]) {
				t.Errorf("sealed twice: %v, and it is the same", err)
			}
		})
	}
	if _, err := s.Seal("context", make([]byte, MaxSecretBytes+1)); err == nil {
		t.Error("a secret that is too long was sealed")
	}
}

func TestOpenRefuses(t *testing.T) {
	s := newSealer(t, goldenKey(t))
	sealed := golden(t)
	for i := range sealed {
		for _, flip := range []byte{1, 0x80} {
			bad := bytes.Clone(sealed)
			bad[i] ^= flip
			_, err := s.Open(goldenContext, bad)
			_, isWrongKey := errors.AsType[*WrongKeyError](err)
			if inID := i >= len(prefix) && i < wrappedStart; inID != isWrongKey || !inID && !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d changed: got %v", i, err)
			}
		}
		if _, err := s.Open(goldenContext, sealed[:i]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut after %d bytes: got %v, want %v", i, err, ErrDamaged)
		}
	}
	for name, bad := range map[string][]byte{
		"more after the end": append(golden(t), 0),
		"too long":           append(golden(t), make([]byte, MaxSecretBytes)...),
	} {
		if _, err := s.Open(goldenContext, bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %v, want %v", name, err, ErrDamaged)
		}
	}
	if _, err := s.Open("authority/servers", sealed); !errors.Is(err, ErrDamaged) {
		t.Errorf("another context: got %v, want %v", err, ErrDamaged)
	}

	other := newKey(t)
	_, err := newSealer(t, other).Open(goldenContext, sealed)
	wrong, ok := errors.AsType[*WrongKeyError](err)
	if !ok || wrong.Sealed.String() != goldenID || wrong.Have != other.ID() {
		t.Fatalf("another master key: got %v, want that both are named", err)
	}
	for _, id := range []string{goldenID, other.ID().String(), goldenContext} {
		if !strings.Contains(err.Error(), id) {
			t.Errorf("got %q, want %s in it", err, id)
		}
	}
}

// TestSwapped proves that neither part of an envelope opens in the place of
// that of another, even of the same context.
func TestSwapped(t *testing.T) {
	s := newSealer(t, newKey(t))
	a, err := s.Seal("context", []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Seal("context", []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	mixed := append(bytes.Clone(a[:secretStart]), b[secretStart:]...)
	if _, err := s.Open("context", mixed); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want %v", err, ErrDamaged)
	}
}

func TestRewrap(t *testing.T) {
	before, after := goldenKey(t), newKey(t)
	both, alone := newSealer(t, after, before), newSealer(t, after)

	if got, err := both.Open(goldenContext, golden(t)); err != nil || string(got) != goldenSecret {
		t.Errorf("under the key before: got %q, %v", got, err)
	}
	wrapped, err := both.Rewrap(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	if id, err := KeyOf(wrapped); err != nil || id != after.ID() {
		t.Errorf("KeyOf: got %v, %v, want %v", id, err, after.ID())
	}
	if !bytes.Equal(wrapped[secretStart:], golden(t)[secretStart:]) {
		t.Error("the secret was touched")
	}
	if got, err := alone.Open(goldenContext, wrapped); err != nil || string(got) != goldenSecret {
		t.Errorf("under the new key: got %q, %v, want %q", got, err, goldenSecret)
	}
	if _, ok := errors.AsType[*WrongKeyError](second(newSealer(t, before).Open(goldenContext, wrapped))); !ok {
		t.Error("under the key before: it opened")
	}
	if _, ok := errors.AsType[*WrongKeyError](second(alone.Rewrap(golden(t)))); !ok {
		t.Error("Rewrap without the key before: it was wrapped")
	}
	bad := golden(t)
	bad[wrappedStart+20] ^= 1
	if _, err := both.Rewrap(bad); !errors.Is(err, ErrDamaged) {
		t.Errorf("Rewrap of a damaged one: got %v, want %v", err, ErrDamaged)
	}
}

func second[T any](_ T, err error) error { return err }

func TestNewRefusesNoKey(t *testing.T) {
	if _, err := New(Key{}); err == nil {
		t.Error("the zero Key was taken")
	}
	if _, err := New(newKey(t), Key{}); err == nil {
		t.Error("the zero Key was taken as a former one")
	}
}

// FuzzOpen proves that nothing but what was sealed opens.
func FuzzOpen(f *testing.F) {
	s := newSealer(f, goldenKey(f))
	want := golden(f)
	f.Add(want)
	f.Add(want[:secretStart])
	f.Add([]byte(prefix))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		secret, err := s.Open(goldenContext, sealed)
		_, isWrongKey := errors.AsType[*WrongKeyError](err)
		switch {
		case err == nil && (!bytes.Equal(sealed, want) || string(secret) != goldenSecret):
			t.Errorf("%x opened", sealed)
		case err != nil && !isWrongKey && !errors.Is(err, ErrDamaged):
			t.Errorf("got %v, want one of the errors that are named", err)
		}
		if _, err := s.Rewrap(sealed); err == nil && !bytes.HasPrefix(sealed, want[:secretStart]) {
			t.Errorf("%x was wrapped anew", sealed)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := newSealer(b, goldenKey(b))
	for b.Loop() {
		if _, err := s.Seal(goldenContext, []byte(goldenSecret)); err != nil {
			b.Fatal(err)
		}
	}
}
