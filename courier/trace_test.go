package courier_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/trace"
	"github.com/heraldpush/herald/wire"
)

// hops returns a story in short: each hop with its status, if that is not zero.
func hops(t *testing.T, r *trace.Recorder, id apns.NotificationID) string {
	t.Helper()
	synctest.Wait()
	lines, err := r.Story(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, l := range lines {
		word := l.Hop.String()
		if l.Hop == trace.Acked || l.Hop == trace.Processed {
			word += string('0' + rune(l.Status%10))
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// What is handed to a device, and what it says of it, is in the story.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.New(t)
		s := newService(t, p)
		const id = "eabeae54-14a8-41e5-b60b-1697f925ec7b"
		raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
		must(t, err)
		phone := s.newIdentity()
		d := s.login(phone, "")
		d.ready(alertTopic)
		n := alert("x")
		n.ID = id
		s.push(d.token(alertTopic), n)
		d.wantPayload(n, 0)
		d.close()
		if got, want := hops(t, p.Trace, id), "accepted stored handed taken-back"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		time.Sleep(time.Second)
		d = s.login(phone, "")
		d.filter(alertTopic)
		got := d.wantPayload(n, 3)
		time.Sleep(time.Second)
		d.ack(got, wire.AckNotOurs)
		processed := frame(wire.CommandTracingAck, item(2, raw), item(3, []byte{5}))
		for range 3 { // no more often than notifications came
			time.Sleep(time.Second)
			d.send(processed)
			d.wantNothing()
		}
		if got, want := hops(t, p.Trace, id), "accepted stored handed taken-back handed acked2 processed5"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		lines, err := p.Trace.Story(t.Context(), id)
		must(t, err)
		if lines[2].Connection == lines[4].Connection || lines[4].Connection != lines[5].Connection || !lines[4].WasStored || lines[2].WasStored {
			t.Errorf("got %+v", lines)
		}
	})
}

// A device cannot write into stories before it got anything.
func TestTraceStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.New(t)
		d := newService(t, p).login(newService(t, p).newIdentity(), "")
		before := p.Trace.Stats().Lines
		for range 100 {
			d.send(frame(wire.CommandTracingAck, item(2, make([]byte, 16))))
		}
		d.wantNothing()
		if got := p.Trace.Stats().Lines; got != before {
			t.Errorf("%d lines were written", got-before)
		}
	})
}
