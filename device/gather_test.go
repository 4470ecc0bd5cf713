package device

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heraldpush/herald/wire"
)

// TestGatherAcks checks which acknowledgements become one.
func TestGatherAcks(t *testing.T) {
	for _, tt := range []struct{ name, frames, want string }{
		{"nothing", "", ""},
		{"one", "1", "1"},
		{"two", "1 2", "1-2"},
		{"many", "4 5 6 7 8", "4-8"},
		{"a gap", "1 2 4 5 7", "1-2 4-5 7"},
		{"backwards", "3 2 1", "3 2 1"},
		{"twice", "1 1 2", "1 1-2"},
		{"another status", "1 2 3! 4 5", "1-2 3! 4-5"},
		{"another frame", "1 2 K 3 4", "1-2 K 3-4"},
		{"another frame first", "K 1 2 K", "K 1-2 K"},
		{"the last id there is", "4294967295 0 1", "4294967295 0 1"},
		{"of several already", "1-2 3", "1-2 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b []byte
			for word := range strings.FieldsSeq(tt.frames) {
				if word == "K" {
					b = wire.KeepAlive{}.Append(b)
					continue
				}
				m := wire.Ack{HasMessageID: true}
				if strings.Contains(word, "-") {
					_, _ = fmt.Sscanf(word, "%d-%d", &m.First, &m.MessageID)
				} else {
					_, _ = fmt.Sscanf(word, "%d", &m.MessageID)
				}
				if strings.HasSuffix(word, "!") {
					m.Status = wire.AckNotOurs
				}
				b = m.Append(b)
			}
			if got := inWords(t, gatherAcks(b)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func inWords(t *testing.T, b []byte) string {
	t.Helper()
	var words []string
	for len(b) > 0 {
		f, n, err := wire.NextFrame(b, wire.MaxPayloadBytes)
		if err != nil {
			t.Fatal(err)
		}
		b = b[n:]
		if f.Command == wire.CommandKeepAlive {
			words = append(words, "K")
			continue
		}
		m, err := wire.ParseAck(f.Payload)
		if err != nil {
			t.Fatal(err)
		}
		word := fmt.Sprint(m.MessageID)
		if m.First != 0 {
			word = fmt.Sprintf("%d-%d", m.First, m.MessageID)
		}
		if m.Status != wire.AckOK {
			word += "!"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
