package dev

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
)

// journal is notifications.jsonl: a line for each notification that the
// virtual device received.
type journal struct{ file *os.File }

// line is a line of the journal.
type line struct {
	ReceivedAt time.Time           `json:"received_at"`
	Topic      apns.Topic          `json:"topic"`
	ID         apns.NotificationID `json:"apns_id"`
	PushType   apns.PushType       `json:"push_type"`
	Priority   apns.Priority       `json:"priority"`
	Payload    json.RawMessage     `json:"payload"`
}

func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return &journal{f}, nil
}

// add writes a line, whole.
func (j *journal) add(n device.Notification) error {
	b, err := json.Marshal(line{
		ReceivedAt: n.ReceivedAt.UTC(), Topic: n.Topic, ID: n.ID, PushType: n.PushType,
		Priority: n.Priority.OrDefault(), Payload: json.RawMessage(n.Payload),
	})
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(b, '\n'))
	return err
}

func (j *journal) close() error { return j.file.Close() }
