package spool

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// agenda calls inboxes at the times they asked for: one goroutine and one timer
// for all of them, and nothing for those that have nothing deferred.
type agenda struct {
	kick chan struct{} // capacity 1: the earliest time has changed

	mu    sync.Mutex
	queue queue // guarded by mu
}

// appointment is an inbox and the time at which it wants to be called.
type appointment struct {
	at time.Time
	in *Inbox
}

// nowhere is the place of an inbox that is not in the queue.
const nowhere = -1

func (a *agenda) init() { a.kick = make(chan struct{}, 1) }

// set has the inbox called at the given time, in place of an earlier one; not at
// all if it is zero.
func (a *agenda) set(in *Inbox, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case in.place != nowhere && at.IsZero():
		heap.Remove(&a.queue, in.place)
		return
	case in.place != nowhere:
		a.queue[in.place].at = at
		heap.Fix(&a.queue, in.place)
	case at.IsZero():
		return
	default:
		heap.Push(&a.queue, appointment{at, in})
	}
	if in.place == 0 {
		select {
		case a.kick <- struct{}{}:
		default:
		}
	}
}

// take returns the inboxes whose time has come, and the time of the next one.
func (a *agenda) take(now time.Time) (due []*Inbox, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queue) > 0 && !now.Before(a.queue[0].at) {
		due = append(due, heap.Pop(&a.queue).(appointment).in) //nolint:errcheck,forcetypeassert // the queue holds nothing else
	}
	if len(a.queue) > 0 {
		next = a.queue[0].at
	}
	return due, next
}

// run calls call for each inbox at its time, until ctx ends.
func (a *agenda) run(ctx context.Context, call func(*Inbox)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		case <-timer.C:
		}
		due, next := a.take(time.Now())
		for _, in := range due {
			call(in)
		}
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}

// queue implements heap.Interface, the earliest appointment first.
type queue []appointment

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].in.place, q[j].in.place = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	p := x.(appointment) //nolint:errcheck,forcetypeassert // see take
	p.in.place = len(*q)
	*q = append(*q, p)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = appointment{}
	*q = (*q)[:last]
	p.in.place = nowhere
	return p
}
