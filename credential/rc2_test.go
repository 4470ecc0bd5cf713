package credential

import (
	"bytes"
	"testing"
)

// The vectors of RFC 2268 section 5.
func TestRC2(t *testing.T) {
	for _, tt := range []struct {
		key           string
		effective     int
		plain, sealed string
	}{
		{"0000000000000000", 63, "0000000000000000", "ebb773f993278eff"},
		{"ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"},
		{"88", 64, "0000000000000000", "61a8a244adacccf0"},
		{"88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"},
		{"88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"},
		{"88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"},
		{"88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"},
	} {
		c, err := newRC2(unhex(t, tt.key), tt.effective)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, c.BlockSize())
		c.Encrypt(got, unhex(t, tt.plain))
		if want := unhex(t, tt.sealed); !bytes.Equal(got, want) {
			t.Errorf("key %s, %d bits: got %x, want %x", tt.key, tt.effective, got, want)
		}
		c.Decrypt(got, got)
		if want := unhex(t, tt.plain); !bytes.Equal(got, want) {
			t.Errorf("key %s, %d bits: decrypted: got %x, want %x", tt.key, tt.effective, got, want)
		}
	}
}

func TestRC2KeyLengths(t *testing.T) {
	for _, tt := range []struct{ bytes, effective int }{{0, 64}, {129, 64}, {8, 0}, {8, 1025}} {
		if _, err := newRC2(make([]byte, tt.bytes), tt.effective); err == nil {
			t.Errorf("%d bytes, %d bits: accepted", tt.bytes, tt.effective)
		}
	}
}
