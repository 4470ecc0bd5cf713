package sqlite

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestDamaged proves that a file which is damaged is told from other errors.
func TestDamaged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(b []byte) []byte
	}{
		{"head overwritten", func(b []byte) []byte { copy(b, strings.Repeat("?", 200)); return b }},
		{"text", func([]byte) []byte { return []byte(strings.Repeat("my life's work\n", 400)) }},
		{"tables overwritten", func(b []byte) []byte { copy(b[100:], strings.Repeat("?", 3000)); return b }},
		{"cut off", func(b []byte) []byte { return b[:len(b)/3] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := newPath(t)
			if err := open(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, string(tt.damage(b)))
			d, err := Open(t.Context(), path)
			if err == nil {
				_ = d.Close()
			}
			if !errors.Is(err, ErrDamaged) || strings.Count(err.Error(), path) != 1 {
				t.Errorf("got %v, want %v and the file, once", err, ErrDamaged)
			}
		})
	}
}
