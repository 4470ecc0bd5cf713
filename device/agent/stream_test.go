package agent

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
)

// TestStream reads notifications in all the ways there are.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		payload := func(s string) string { return fmt.Sprintf(`{"aps":{"alert":%q}}`, s) }

		// What nobody reads waits for the first who does.
		one, two := w.push(payload("one")), w.push(payload("two"))
		if s := w.appStatus(); s.Kept != 2 || s.Waiting != 2 {
			t.Errorf("app: got %+v, want two that wait", s)
		}
		a := w.listen("")
		a.expect(one, two)

		// Two readers get the same.
		b := w.listen("")
		three := w.push(payload("three"))
		a.expect(three)
		b.expect(three)
		if s := w.appStatus(); s.Kept != 3 || s.Waiting != 0 || s.Readers != 2 {
			t.Errorf("app: got %+v, want three kept, none waiting, two readers", s)
		}
		a.close()
		b.close()

		// One goes on where it was; one that does not say where gets what
		// nobody has had.
		four := w.push(payload("four"))
		c := w.listen(two)
		c.expect(three, four)
		c.close()
		five := w.push(payload("five"))
		d := w.listen("")
		d.expect(five)
		d.close()
		time.Sleep(time.Second)
		if s := w.appStatus(); s.Readers != 0 {
			t.Errorf("app: got %+v, want no readers", s)
		}

		// One that was at something that is not kept is told so.
		e := w.listen(apns.NotificationID(apns.NewUUID()))
		if got := e.expectEvent("gap", ""); !strings.Contains(got, "not kept any more") {
			t.Errorf("gap: got %s", got)
		}
		e.expect(one, two, three, four, five)

		// All of it outlives the process.
		w.end()
		if _, err := e.next(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end of the agent: got %v, want EOF", err)
		}
		w.events = nil
		w.cfg.EnrolmentCode = ""
		w.start()
		six := w.push(payload("six"))
		f := w.listen(four)
		f.expect(five, six)
		f.close()
		g := w.listen("")
		seven := w.push(payload("seven"))
		g.expect(seven)

		// Until the app goes.
		if err := w.agent.uninstall(apnstest.Topic); err != nil {
			t.Error(err)
		}
		g.expectEvent("unregistered", "")
		if _, err := g.next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the app: got %v, want EOF", err)
		}
	})
}

// TestHeartbeat leaves a stream alone for longer than any limit of the
// server's.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		l := w.listen("")
		from := time.Now()
		for range 20 {
			if e, err := l.next(); err != nil || e != (sse{}) {
				t.Fatalf("after %v: got %+v and %v, want a comment", time.Since(from), e, err)
			}
		}
		if took := time.Since(from); took != 20*heartbeat {
			t.Errorf("20 heartbeats took %v, want %v", took, 20*heartbeat)
		}
		l.expect(w.push(`{"aps":{"alert":"still here"}}`))
	})
}

// TestSlowReader has a reader that takes nothing: it is given up once the
// buffer is full, and the others never notice.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		slow := w.listen("")
		quick := w.listen("")
		pad := strings.Repeat("x", 3000)
		var ids []apns.NotificationID
		for i := range 400 { // more than memnet and net/http hold
			id := apns.NotificationID(apns.NewUUID())
			if err := w.agent.inbox.add(apnstest.Topic, id, fmt.Appendf(nil, `{"n":%d,"pad":%q}`, i, pad)); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
			quick.expect(id)
		}
		time.Sleep(takeWithin + time.Second)
		if s := w.appStatus(); s.Readers != 1 {
			t.Errorf("app: got %+v, want the quick reader alone", s)
		}
		for {
			e, err := slow.next()
			if err == nil {
				continue
			}
			if e.name != "" && errors.Is(err, io.EOF) {
				t.Errorf("got a clean end within %+v", e)
			}
			break
		}
		// It comes back for the rest.
		again := w.listen(ids[390])
		again.expect(ids[391:]...)
	})
}

// TestReaderBehind has a reader that is overtaken by what is kept.
func TestReaderBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		add := func(n int) {
			for range n {
				if err := w.agent.inbox.add(apnstest.Topic, apns.NotificationID(apns.NewUUID()), []byte(`{}`)); err != nil {
					t.Fatal(err)
				}
			}
		}
		add(defaultLimits.perApp + 5)
		l := w.listen("")
		if got := l.expectEvent("gap", ""); !strings.Contains(got, `"missed":5`) {
			t.Errorf("gap: got %s, want 5 missed", got)
		}
		for range defaultLimits.perApp {
			if e, err := l.next(); err != nil || e.name != "notification" {
				t.Fatalf("got %+v and %v, want a notification", e, err)
			}
		}
		synctest.Wait()
		// All at once, so that it has no chance.
		w.agent.inbox.mu.Lock()
		b := w.agent.inbox.boxes[apnstest.Topic]
		for range defaultLimits.perApp + 7 {
			w.agent.inbox.put(b, b.last+1, apns.NotificationID(apns.NewUUID()), []byte(`{}`))
		}
		close(b.changed)
		b.changed = make(chan struct{})
		w.agent.inbox.mu.Unlock()
		if got := l.expectEvent("dropped", ""); !strings.Contains(got, `"missed":7`) {
			t.Errorf("dropped: got %s, want 7 missed", got)
		}
		if _, err := l.next(); !errors.Is(err, io.EOF) {
			t.Errorf("after that: got %v, want the end", err)
		}
	})
}

func TestTooManyReaders(t *testing.T) {
	i := newInbox(defaultLimits)
	if _, err := i.open("a.b"); err != nil {
		t.Fatal(err)
	}
	var readers []*reader
	for range maxReaders {
		r, _, err := i.read("a.b", "")
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	if _, _, err := i.read("a.b", ""); !errors.Is(err, errManyReaders) {
		t.Errorf("one more: got %v, want %v", err, errManyReaders)
	}
	readers[0].close()
	if _, _, err := i.read("a.b", ""); err != nil {
		t.Errorf("in the place of another: got %v", err)
	}
}
