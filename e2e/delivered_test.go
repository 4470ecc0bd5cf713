package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// delivered is a line of notifications.jsonl: a notification that the virtual
// device received.
type delivered struct {
	ReceivedAt time.Time       `json:"received_at"`
	Topic      string          `json:"topic"`
	ID         string          `json:"apns_id"`
	PushType   string          `json:"push_type"`
	Priority   int             `json:"priority"`
	Payload    json.RawMessage `json:"payload"`
}

// delivered returns all that the virtual device has received so far.
func (h *herald) delivered(t *testing.T) (all []delivered) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(h.dir, "notifications.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // still being written
		}
		var d delivered
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatalf("notifications.jsonl: %v\n%s", err, line)
		}
		all = append(all, d)
	}
	return all
}

// waitDelivered waits until the virtual device has received the notification
// with an apns-id, in either letter case.
func (h *herald) waitDelivered(t *testing.T, id string) delivered {
	t.Helper()
	return waitFor(t, "notification "+id, deliverWithin, func() (delivered, bool) {
		for _, d := range h.delivered(t) {
			if strings.EqualFold(d.ID, id) {
				return d, true
			}
		}
		return delivered{}, false
	})
}

// checkDelivered waits for a notification and compares it with what was sent.
func (h *herald) checkDelivered(t *testing.T, want delivered) {
	t.Helper()
	got := h.waitDelivered(t, want.ID)
	if age := time.Since(got.ReceivedAt); age < -time.Minute || age > time.Hour {
		t.Errorf("received_at: got %v, want about now", got.ReceivedAt)
	}
	got.ReceivedAt = want.ReceivedAt
	got.ID = want.ID // the same, but for letter case: on its way to the device it is 16 bytes
	sameJSON := cmp.Comparer(func(a, b json.RawMessage) bool {
		var x, y any
		return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
	})
	if diff := cmp.Diff(want, got, sameJSON); diff != "" {
		t.Errorf("delivered (-sent +received):\n%s", diff)
	}
}
