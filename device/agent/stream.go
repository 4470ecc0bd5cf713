package agent

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
)

const (
	// heartbeat is the time between two signs of life where there is nothing
	// to say.
	heartbeat = 15 * time.Second
	// takeWithin is how long a reader may leave what it was sent unread once
	// the socket's buffer is full.
	takeWithin = 10 * time.Second
	// maxEventID bounds the Last-Event-ID, in bytes: a UUID.
	maxEventID = 64
)

// getNotifications streams the notifications of an app as server-sent events
// (docs/device.md#notifications).
func (a *agent) getNotifications(w http.ResponseWriter, r *http.Request, topic apns.Topic) {
	last := r.Header.Get("Last-Event-ID")
	if len(last) > maxEventID {
		a.refuse(w, http.StatusBadRequest, "Bad request", "Last-Event-ID has %d bytes: want the id of an event, a UUID.", len(last))
		return
	}
	reader, known, err := a.inbox.read(topic, apns.NotificationID(last))
	switch {
	case errors.Is(err, errNoApp):
		a.refuseUnregistered(w, topic)
		return
	case err != nil:
		a.refuse(w, http.StatusServiceUnavailable, "Too many readers", "%v: %d.", err, maxReaders)
		return
	}
	defer reader.close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	s := stream{agent: a, reader: reader, w: w, control: http.NewResponseController(w)}
	if err := s.run(r, known); err != nil {
		a.cfg.Logger.Info("a reader was lost", "topic", topic, "reason", err)
	}
}

// stream is an answer that goes on.
type stream struct {
	agent   *agent
	reader  *reader
	w       http.ResponseWriter
	control *http.ResponseController
}

// run writes until the reader, the app or the agent is gone, which is no
// error, or the reader is too slow.
func (s *stream) run(r *http.Request, known bool) error {
	text := []byte(": the notifications of " + string(s.reader.topic) + "\nretry: 2000\n\n")
	if !known {
		text = append(text, "event: gap\ndata: {\"reason\":\"the event named by Last-Event-ID is not kept any more\"}\n\n"...)
	}
	if err := s.write(text); err != nil {
		return err
	}
	// The server bounds the time to read a request, this one has been read, and
	// what is left of it is that the reader's end be noticed.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for first := true; ; first = false {
		n := s.reader.next()
		switch {
		case n.gone:
			return s.write([]byte("event: unregistered\ndata: {\"reason\":\"the app is not registered any more\"}\n\n"))
		case n.missed > 0 && first:
			if err := s.write(fmt.Appendf(nil, "event: gap\ndata: {\"reason\":\"older notifications are not kept any more\",\"missed\":%d}\n\n", n.missed)); err != nil {
				return err
			}
		case n.missed > 0:
			return errors.Join(fmt.Errorf("it is %d notifications behind", n.missed),
				s.write(fmt.Appendf(nil, "event: dropped\ndata: {\"reason\":\"this reader is too slow\",\"missed\":%d}\n\n", n.missed)))
		}
		if len(n.letters) > 0 {
			if err := s.give(n.letters); err != nil {
				return err
			}
			continue
		}
		select {
		case <-r.Context().Done(): // the reader's end, or the agent's
			return nil
		case <-n.changed:
		case <-beat.C:
			if err := s.write([]byte(":\n\n")); err != nil {
				return err
			}
		}
	}
}

// give writes notifications.
func (s *stream) give(letters []letter) error {
	var text []byte
	for _, l := range letters {
		text = fmt.Appendf(text, "id: %s\nevent: notification\ndata: %s\n\n", l.id, l.doc)
	}
	if err := s.write(text); err != nil {
		return err
	}
	if err := s.reader.has(letters[len(letters)-1].number); err != nil {
		s.agent.failed(s.reader.topic, fmt.Errorf("noting what was read: %w", err))
	}
	return nil
}

// write writes at once.
func (s *stream) write(text []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(takeWithin)); err != nil {
		return err
	}
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.control.Flush()
}
