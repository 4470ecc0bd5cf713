package outbox

import (
	"encoding/binary"
	"slices"
	"time"
)

// Turn is what happened to a message as a whole and is to be told, but for its end. It is
// stored with what happened, and stays in Status.Untold until that was told: so a crash
// in between loses no word of it.
type Turn struct {
	Kind TurnKind
	At   time.Time
}

// TurnKind is what happened.
type TurnKind uint8

// The kinds of turns.
const (
	// Started is that sending begins of a message that was scheduled, or whose audience
	// is frozen. It may come twice of one message.
	Started TurnKind = iota + 1
	// Paused is that it stops, asked for or by a fuse.
	Paused
	// Resumed is that it goes on.
	Resumed
)

// maxUntold bounds the turns of a message that wait to be told; those before are lost.
const maxUntold = 16

// turned returns s with a turn that is to be told.
func (s Status) turned(kind TurnKind, now time.Time) Status {
	s.Untold = append(slices.Clone(s.Untold), Turn{kind, now})
	s.Untold = s.Untold[max(0, len(s.Untold)-maxUntold):]
	return s
}

// Told comes when turns were told, at any time.
type Told struct{ Turns []Turn }

func (e Told) step(m *Message, _ time.Time) (Status, bool) {
	s := m.Status
	s.Untold = nil
	for _, t := range m.Untold {
		if !slices.Contains(e.Turns, t) {
			s.Untold = append(s.Untold, t)
		}
	}
	return s, true
}

// appendTurns appends turns as record.turns reads them: their number (uvarint), and of
// each the kind, 1, and a time.
func appendTurns(b []byte, all []Turn) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, t := range all {
		b = appendTime(append(b, byte(t.Kind)), t.At)
	}
	return b
}

func (r *record) turns() (all []Turn) {
	for range r.number(maxUntold) {
		all = append(all, Turn{TurnKind(r.byte()), r.time()})
	}
	return all
}
