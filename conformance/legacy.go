package conformance

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Legacy is a notification of the legacy interface
// (docs/protocol/legacy.md#notifications).
type Legacy struct {
	// Command is 0, 1 or 2.
	Command uint8 `toml:"command"`
	// Raw has all the bytes in hex, instead of what follows.
	Raw string `toml:"raw"`
	// ID is the identifier.
	ID uint32 `toml:"id"`
	// To is the name of the device token; TokenHex is one in hex.
	To       string  `toml:"to"`
	TokenHex *string `toml:"token"`
	// Body is the payload; Size is that of a padded one.
	Body *string `toml:"body"`
	Size int     `toml:"size"`
	// Expiry is a time as in ${…}, empty for none; 0 in the enhanced form.
	Expiry string `toml:"expiry"`
	// Priority is that of the framed form, zero for none.
	Priority uint8 `toml:"priority"`
	// Without has items of the framed form that are left out, and Items has
	// more of them, in hex.
	Without []int  `toml:"without"`
	Items   string `toml:"items"`
}

// legacyBytes returns what a step sends.
func (t *trial) legacyBytes(s *Step) (b []byte, err error) {
	for i := range s.Legacy {
		one, err := t.notification(&s.Legacy[i])
		if err != nil {
			return nil, err
		}
		b = append(b, one...)
	}
	return b, nil
}

func (t *trial) notification(n *Legacy) ([]byte, error) {
	if n.Raw != "" {
		return hex.DecodeString(strings.ReplaceAll(n.Raw, " ", ""))
	}
	var token []byte
	var err error
	if n.TokenHex != nil {
		token, err = hex.DecodeString(*n.TokenHex)
	} else {
		var text string
		if text, err = t.deviceToken(n.To, true); err == nil {
			token, err = hex.DecodeString(text)
		}
	}
	if err != nil {
		return nil, err
	}
	q := &request{body: []byte(hello)}
	if err := t.fill(q, &Step{Body: n.Body, Size: n.Size}, 0); err != nil {
		return nil, err
	}
	var expiry uint32
	if n.Expiry != "" {
		text, err := t.expand(n.Expiry)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Sscan(text, &expiry); err != nil {
			return nil, err
		}
	}
	return n.encode(token, q.body, expiry)
}

// encode writes the notification in its form.
func (n *Legacy) encode(token, payload []byte, expiry uint32) ([]byte, error) {
	be := binary.BigEndian
	field := func(b, value []byte) []byte { return append(be.AppendUint16(b, uint16(len(value))), value...) }
	switch n.Command {
	case 0:
		return field(field([]byte{0}, token), payload), nil
	case 1:
		b := be.AppendUint32(be.AppendUint32([]byte{1}, n.ID), expiry)
		return field(field(b, token), payload), nil
	case 2:
		values := [][]byte{token, payload, be.AppendUint32(nil, n.ID), be.AppendUint32(nil, expiry), {n.Priority}}
		var items []byte
		for i, value := range values {
			switch id := i + 1; {
			case slices.Contains(n.Without, id), id == 4 && n.Expiry == "", id == 5 && n.Priority == 0:
			default:
				items = field(append(items, byte(id)), value)
			}
		}
		more, err := hex.DecodeString(strings.ReplaceAll(n.Items, " ", ""))
		if err != nil {
			return nil, err
		}
		items = append(items, more...)
		return append(be.AppendUint32([]byte{2}, uint32(len(items))), items...), nil
	}
	return nil, fmt.Errorf("command %d", n.Command)
}

// maxReply bounds what the legacy interface answers.
const maxReply = 64 << 10

// legacy sends notifications, ends its side, and checks what comes back: "no
// error", or "status S of I", I being the identifier
// (docs/protocol/legacy.md#stream).
func (t *trial) legacy(ctx context.Context, s *Step) error {
	b, err := t.legacyBytes(s)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = t.raw.NetConn().Close() })()
	// An error may come, and the connection end, before all is written.
	if _, err := t.raw.Write(b); err == nil {
		err = t.raw.CloseWrite()
		_ = err // what comes back tells
	}
	reply, err := readAll(t.raw, maxReply)
	got := "no error"
	switch {
	case len(reply) == 6 && reply[0] == 8:
		got = fmt.Sprintf("status %d of %d", reply[1], binary.BigEndian.Uint32(reply[2:]))
	case len(reply) > 0:
		got = fmt.Sprintf("%x", reply)
	case err != nil:
		got = closed
	}
	if !isWanted(got, s.Want) {
		m := &mismatchError{got: got, want: s.Want}
		if err != nil {
			m.detail = err.Error()
		}
		return m
	}
	return nil
}

// retryAfter is how long to wait before feedback is read once more.
const retryAfter = 50 * time.Millisecond

// feedback reads the feedback service to its end, again if it does not tell what
// is wanted: it is cleared only when it has noticed that the reader is gone
// (docs/protocol/legacy.md#feedback).
func (t *trial) feedback(ctx context.Context, s *Step) error {
	value, err := t.value(s.To)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		got, err := t.readFeedback(ctx, value)
		if err != nil || got == s.Want {
			return err
		}
		if attempt >= s.Times {
			return &mismatchError{got: got, want: s.Want}
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return &mismatchError{got: got, want: s.Want, detail: context.Cause(ctx).Error()}
		}
		if _, err := t.connect(ctx, FeedbackAddress); err != nil {
			return err
		}
	}
}

// maxFeedback bounds what is read of the feedback service.
const maxFeedback = 64 << 20

// readFeedback reads all there is and returns whether a device token was
// "told" or "not told" of.
func (t *trial) readFeedback(ctx context.Context, value string) (got string, err error) {
	defer context.AfterFunc(ctx, func() { _ = t.raw.NetConn().Close() })()
	b, err := readAll(t.raw, maxFeedback)
	if err != nil {
		return "", fmt.Errorf("reading feedback: %w", err)
	}
	if err := t.raw.Close(); err != nil {
		return "", fmt.Errorf("closing feedback: %w", err)
	}
	got = "not told"
	for len(b) > 0 {
		const head = 6
		if len(b) < head || len(b) < head+int(binary.BigEndian.Uint16(b[4:])) {
			return "", errors.New("feedback ends within a tuple")
		}
		n := head + int(binary.BigEndian.Uint16(b[4:]))
		if hex.EncodeToString(b[head:n]) == value {
			got = "told"
			if err := checkTimestamp(fmt.Sprintf("%d000", binary.BigEndian.Uint32(b))); err != nil {
				return "", err
			}
		}
		b = b[n:]
	}
	return got, nil
}
