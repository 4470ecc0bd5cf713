package apnsclient

import (
	"container/heap"
	"errors"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
)

// settle decides what becomes of f, of which an attempt has ended with f.err. mu
// is held.
func (e *engine) settle(f *flight, now time.Time) {
	l := f.link
	f.at = nowhere
	answered := f.answered()
	if answered {
		e.answered(l, f.err)
	}
	again, pause := false, time.Duration(0)
	switch {
	case f.err == nil:
	case answered:
		again, pause = e.afterRejection(f, now)
	default:
		again, pause = e.afterFailure(f)
	}
	again = again && !f.over && now.Add(pause).Before(f.deadline)
	if e.hooks.Attempt != nil {
		e.attempts = append(e.attempts, f.attempt(f.err, again, now))
	}
	switch {
	case !again:
		e.finish(f, f.err)
	case pause > 0:
		f.at, f.due = pausing, now.Add(pause)
		heap.Push(&e.pauses, f)
		e.arm(f.due)
	default:
		e.enqueue(f, now)
	}
}

// answered notes an answer on l. The first is what the making of connections is
// for: those on which a gateway says only that it shuts down are made with pauses.
func (e *engine) answered(l *link, err error) {
	l.timeouts = 0
	if r, ok := errors.AsType[*apns.Rejection](err); l.proven || ok && r.Reason == apns.Shutdown {
		return
	}
	l.proven = true
	e.backoff.succeeded()
	e.further.succeeded()
}

// attempt returns what is told of the attempt that has just ended.
func (f *flight) attempt(err error, again bool, now time.Time) Attempt {
	a := Attempt{
		ID: f.id, Topic: f.topic, PushType: f.pushType, Number: f.attempts + f.moves, Connection: f.link.id,
		Duration: now.Sub(f.since), Status: f.status(), Outcome: OutcomeOf(err), Retried: again, Err: err,
	}
	if r, ok := errors.AsType[*apns.Rejection](err); ok {
		a.Reason = r.Reason
	}
	return a
}

// afterRejection says whether f is to be tried again after the gateway refused
// it, and when.
func (e *engine) afterRejection(f *flight, now time.Time) (again bool, pause time.Duration) {
	r, ok := errors.AsType[*apns.Rejection](f.err)
	if !ok {
		return false, 0
	}
	f.lastErr = r
	switch {
	case e.renew(f, r.Reason, now):
		return true, 0
	case r.Reason == apns.TooManyProviderTokenUpdates && e.tokens != nil:
		return false, 0
	case r.Reason == apns.Shutdown:
		e.retire(f.link)
	default:
	}
	if !tryAgain(r) || f.attempts >= e.retry.Attempts {
		return false, 0
	}
	pause = e.retry.pause(f.attempts, r.RetryAfter)
	if !now.Add(pause).Before(f.deadline) {
		return false, 0
	}
	return e.budget.take(), pause
}

// renew tells the provider tokens of a refusal. It reports whether f is to be
// tried with another one, which is done once
// (docs/protocol/provider.md#provider-tokens).
func (e *engine) renew(f *flight, reason apns.Reason, now time.Time) bool {
	if e.tokens == nil {
		return false
	}
	date := answer{fields: f.call.Answer}.field("date")
	again, err := e.tokens.refused(f.token, reason, date)
	if err != nil {
		f.err = &UnsentError{Host: e.addr, Err: err}
	}
	switch reason {
	case apns.ExpiredProviderToken, apns.TooManyProviderTokenUpdates:
		// Connections have been seen to serve badly after these answers. Where
		// another token is not to be had, another connection for each push is no help.
		if again || now.Sub(f.link.opened) >= wornAfter {
			e.retire(f.link)
		}
	default:
	}
	if !again || f.renewed {
		return false
	}
	f.renewed = true
	f.attempts--
	f.moves++
	return true
}

// afterFailure says whether f is to be tried again after an attempt without an
// answer, and when.
func (e *engine) afterFailure(f *flight) (again bool, pause time.Duration) {
	switch OutcomeOf(f.err) {
	case ConnectionFault:
		f.attempts--
		f.moves++
		return true, pauseAfterMove(f.moves)
	case Unknown:
		if f.doubt == nil {
			f.doubt = f.err
		}
		if !e.retry.sendsAgain(f.collapsible) || f.attempts >= e.retry.Attempts || !e.budget.take() {
			return false, 0
		}
		return true, e.retry.pause(f.attempts, 0)
	case Accepted, Invalid, Rejected, TokenGone, ProviderFault, RetryLater:
	}
	return false, 0
}

// finish ends f, which is nowhere. mu is held.
func (e *engine) finish(f *flight, err error) {
	if f.doubt != nil {
		// What an earlier attempt may have done counts more than that a later
		// one came to nothing.
		if o := OutcomeOf(err); o == ConnectionFault || o == RetryLater {
			err = f.doubt
		}
	}
	f.err = err
	f.at, f.link = nowhere, nil
	e.all.remove(f)
	e.done.push(f)
	if e.closed && e.all.count == 0 {
		close(e.empty)
	}
}

// read returns what has come of the call of f on l, in the words of this package.
func (e *engine) read(l *link, f *flight) (Receipt, error) {
	if f.answered() {
		return readAnswer(&f.call, f.status(), f.id, f.plain)
	}
	return Receipt{ID: f.id}, e.explain(l, f, f.call.Err)
}

// answered reports whether there is an answer. The status is one, even where the
// connection ended before the rest had come.
func (f *flight) answered() bool { return f.call.Err == nil || f.status() != 0 }

// status returns the status of the answer, 0 if there is none.
func (f *flight) status() int {
	if cut, ok := errors.AsType[*h2.CallError](f.call.Err); ok {
		return cut.Status
	}
	return f.call.Status
}

// explain turns what ended a call without an answer into one of the errors of
// this package.
func (e *engine) explain(l *link, f *flight, err error) error {
	unprocessed := false
	if call, ok := errors.AsType[*h2.CallError](err); ok {
		unprocessed = call.Unprocessed
	}
	err = e.dialer.explain(l.nc, err)
	switch refused := verdict(err); {
	case refused == nil:
	case unprocessed:
		return refused
	default:
		if _, ok := errors.AsType[*CertificateError](refused); ok {
			return refused
		}
	}
	if unprocessed {
		return &UnsentError{Host: e.addr, Err: err}
	}
	return &UnansweredError{Host: e.addr, ID: f.id, Err: err}
}
