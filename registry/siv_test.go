package registry

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"
)

// newSIVs returns our cipher of a key and that of Tink, which knows all of RFC
// 5297.
func newSIVs(tb testing.TB, key []byte) (*siv, *subtle.AESSIV) {
	tb.Helper()
	ours, err := newSIV(key)
	if err != nil {
		tb.Fatal(err)
	}
	tinks, err := subtle.NewAESSIV(key)
	if err != nil {
		tb.Fatal(err)
	}
	return ours, tinks
}

// checkSIV checks one plain text under one key against Tink, and that nothing
// near what was sealed opens.
func checkSIV(t *testing.T, key []byte, plain [plainBytes]byte) {
	t.Helper()
	ours, tinks := newSIVs(t, key)
	sealed := ours.seal(plain)
	want, err := tinks.EncryptDeterministically(plain[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sealed[:], want) {
		t.Errorf("sealing %x under %x: got %x, want %x", plain, key, sealed, want)
	}
	if got, ok := ours.open(string(sealed[:])); !ok || got != plain {
		t.Errorf("opening: got %x, %v, want %x", got, ok, plain)
	}
	for bit := range 8 * sivBytes {
		bad := sealed
		bad[bit/8] ^= 1 << (bit % 8)
		if _, ok := ours.open(string(bad[:])); ok {
			t.Errorf("with bit %d changed it opens", bit)
		}
	}
	for _, bad := range []string{"", string(sealed[:sivBytes-1]), string(sealed[:]) + "x"} {
		if _, ok := ours.open(bad); ok {
			t.Errorf("%x opens", bad)
		}
	}
}

func TestSIV(t *testing.T) {
	ones := bytes.Repeat([]byte{0xff}, plainBytes)
	checkSIV(t, make([]byte, tokenKeyBytes), [plainBytes]byte{})
	checkSIV(t, bytes.Repeat([]byte{0xff}, tokenKeyBytes), [plainBytes]byte(ones))
	for range 200 {
		key, plain := make([]byte, tokenKeyBytes), [plainBytes]byte{}
		_, _ = rand.Read(key) // neither fails
		_, _ = rand.Read(plain[:])
		checkSIV(t, key, plain)
	}
	for _, bad := range []int{0, 32, 63, 65} {
		if _, err := newSIV(make([]byte, bad)); err == nil {
			t.Errorf("a key of %d bytes was taken", bad)
		}
	}
}

func FuzzSIV(f *testing.F) {
	f.Add(make([]byte, tokenKeyBytes+plainBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != tokenKeyBytes+plainBytes {
			t.Skip()
		}
		checkSIV(t, b[:tokenKeyBytes], [plainBytes]byte(b[tokenKeyBytes:]))
	})
}

func TestSIVAllocates(t *testing.T) {
	s, _ := newSIVs(t, make([]byte, tokenKeyBytes))
	sealed := s.seal([plainBytes]byte{1})
	token := string(sealed[:])
	if got := testing.AllocsPerRun(1000, func() { s.open(token) }); got >= 1 {
		t.Errorf("opening allocates %v times, want 0", got)
	}
}

func BenchmarkSIVOpen(b *testing.B) {
	ours, tinks := newSIVs(b, make([]byte, tokenKeyBytes))
	sealed := ours.seal([plainBytes]byte{1})
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		token := string(sealed[:])
		for b.Loop() {
			ours.open(token)
		}
	})
	b.Run("tink", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = tinks.DecryptDeterministically(sealed[:], nil)
		}
	})
}
