package event_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
	"github.com/heraldpush/herald/store/memory"
)

func TestRead(t *testing.T) {
	l := openLog(t)
	for n := range 6 {
		add(t, l, restored(t, account.AppID(fmt.Sprint("app", n%2)), n))
	}
	paused, err := event.OfSending(event.SendingStalled, "", outbox.NewMessageID(at), event.Sending{Since: at.Add(-time.Hour)}, at)
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, paused)
	for name, tt := range map[string]struct {
		after  uint64
		filter event.Filter
		limit  int
		want   string
		next   uint64
	}{
		"all":            {0, event.Filter{}, 100, "[1 2 3 4 5 6 7]", 7},
		"some":           {2, event.Filter{}, 3, "[3 4 5]", 5},
		"an app":         {0, event.Filter{Apps: []account.AppID{"app1"}}, 100, "[2 4 6]", 7},
		"one of an app":  {2, event.Filter{Apps: []account.AppID{"app1"}}, 1, "[4]", 4},
		"a kind":         {0, event.Filter{Kinds: []event.Kind{event.SendingStalled}}, 100, "[7]", 7},
		"an app, a kind": {0, event.Filter{Apps: []account.AppID{"app1"}, Kinds: []event.Kind{event.SendingStalled}}, 100, "[]", 7},
		"the end":        {7, event.Filter{}, 100, "[]", 7},
		"past the end":   {9, event.Filter{}, 100, "[]", 9},
		"none":           {0, event.Filter{}, 0, "[]", 0},
	} {
		p, err := l.Read(t.Context(), tt.after, tt.filter, tt.limit)
		if got := sequences(p.Events); err != nil || got != tt.want || p.Next != tt.next {
			t.Errorf("%s: got %s, next %d, %v, want %s, next %d", name, got, p.Next, err, tt.want, tt.next)
		}
	}
}

// A reader who wants next to nothing is answered before all has been looked at.
func TestReadOfVeryMany(t *testing.T) {
	l := openLog(t)
	const many = 25_000
	events := make([]event.Event, many)
	for n := range events {
		events[n] = restored(t, "app", n)
	}
	add(t, l, events...)
	add(t, l, restored(t, "rare", 1))
	rare, calls := event.Filter{Apps: []account.AppID{"rare"}}, 0
	var p event.Page
	for len(p.Events) == 0 {
		var err error
		before := p.Next
		if p, err = l.Read(t.Context(), p.Next, rare, 10); err != nil || p.Next == before {
			t.Fatalf("call %d: next %d after %d, %v", calls, p.Next, before, err)
		}
		calls++
	}
	if got := sequences(p.Events); got != "[25001]" || calls != 3 {
		t.Errorf("got %s after %d calls, want [25001] after 3", got, calls)
	}
}

func TestReadSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t)
		began := time.Now()
		p, err := l.ReadSoon(t.Context(), 0, event.Filter{}, 10, time.Minute)
		if err != nil || len(p.Events) != 0 || time.Since(began) != time.Minute {
			t.Errorf("nothing comes: got %v, %v after %v, want no events after a minute", p, err, time.Since(began))
		}
		go func() {
			time.Sleep(10 * time.Second)
			add(t, l, restored(t, "other", 1))
			time.Sleep(10 * time.Second)
			add(t, l, restored(t, "shop", 2))
		}()
		began = time.Now()
		p, err = l.ReadSoon(t.Context(), 0, event.Filter{Apps: []account.AppID{"shop"}}, 10, time.Minute)
		if got := sequences(p.Events); err != nil || got != "[2]" || time.Since(began) != 20*time.Second {
			t.Errorf("got %s, %v after %v, want [2] after 20 s", got, err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.ReadSoon(ctx, 2, event.Filter{}, 10, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: got %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestTrim(t *testing.T) {
	l := openLog(t)
	for n := range 5 {
		add(t, l, restored(t, "shop", n))
	}
	for _, tt := range []struct {
		keep event.Retention
		at   time.Time
		want int
	}{
		{event.Retention{}, at, 0},
		{event.Retention{Events: 3}, at, 2},
		{event.Retention{Age: time.Hour}, at.Add(time.Hour), 0},
		{event.Retention{Age: time.Hour}, at.Add(61 * time.Minute), 3},
	} {
		if n, err := l.Trim(t.Context(), tt.keep, tt.at); err != nil || n != tt.want {
			t.Errorf("%+v: got %d, %v, want %d", tt.keep, n, err, tt.want)
		}
	}
	if first, last, err := l.Bounds(t.Context()); err != nil || first != 6 || last != 5 {
		t.Errorf("got %d to %d, %v, want nothing after 5", first, last, err)
	}
}

// A log that is opened again goes on where it ended.
func TestLogOpenedAgain(t *testing.T) {
	s := memory.NewEvent()
	for n := range 3 {
		l, err := event.OpenLog(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			if err := l.Wait(t.Context(), uint64(n-1)); err != nil {
				t.Error(err)
			}
		}
		add(t, l, restored(t, "shop", n))
	}
	if _, last, err := s.Bounds(t.Context()); err != nil || last != 3 {
		t.Errorf("got %d, %v, want 3", last, err)
	}
}
