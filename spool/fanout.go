package spool

import (
	"context"
	"slices"
	"sync"
	"time"
)

// fanouts brings what is published to those who follow, by one goroutine: a few
// of them at a time, and each channel in its turn, so that neither a lock is held
// for long nor a small channel waits for a large one.
type fanouts struct {
	interval time.Duration // for each that is reached
	kick     chan struct{} // capacity 1: there is a turn

	mu      sync.Mutex
	turns   []*fanout             // what goes out, the next first; guarded by mu
	of      map[*followed]*fanout // the same by channel; guarded by mu
	waiting int                   // messages that go out or may come to; guarded by mu
	room    [fanoutBatch]*follow  // for the goroutine alone
}

// fanout is what is on its way to those who follow one channel.
type fanout struct {
	channel *followed
	// messages are by ascending timestamp; nil, in the last place, stands for the
	// end of the channel. Guarded by the lock of fanouts.
	messages []*published
	begun    bool // with the first message; guarded by the lock of fanouts
	// at is where to go on with the first message, see followed.before; for the
	// goroutine alone.
	at int
}

// fanoutBatch is how many follows are taken from a channel under its lock, and
// reached before another channel has its turn.
const fanoutBatch = 256

// fanoutBurst is for how long the goroutine may be ahead of its rate.
const fanoutBurst = 5 * time.Millisecond

func (fs *fanouts) init(rate int) {
	fs.interval = time.Second / time.Duration(rate)
	fs.kick = make(chan struct{}, 1)
	fs.of = map[*followed]*fanout{}
}

// reserve reports whether there is room for one more message.
func (fs *fanouts) reserve(most int) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.waiting >= most {
		return false
	}
	fs.waiting++
	return true
}

// release gives up a room that was reserved.
func (fs *fanouts) release() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.waiting--
}

// add has a message, for which there was room, go out; or the end of the
// channel, if it is nil.
func (fs *fanouts) add(ch *followed, m *published) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.of[ch]
	if f == nil {
		f = &fanout{channel: ch}
		fs.of[ch] = f
		fs.turns = append(fs.turns, f)
	}
	f.insert(m)
	select {
	case fs.kick <- struct{}{}:
	default:
	}
}

// insert puts a message behind those that are earlier, for a device that has a
// later one takes no earlier one.
func (f *fanout) insert(m *published) {
	f.messages = append(f.messages, m)
	if m == nil {
		return
	}
	first := 0
	if f.begun {
		first = 1
	}
	for i := len(f.messages) - 1; i > first; i-- {
		if before := f.messages[i-1]; before != nil && before.Timestamp < m.Timestamp {
			return
		}
		f.messages[i-1], f.messages[i] = f.messages[i], f.messages[i-1]
	}
}

// next returns whose turn it is, and with which message; nil if there is none.
func (fs *fanouts) next() (*fanout, *published) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if len(fs.turns) == 0 {
		return nil, nil
	}
	f := fs.turns[0]
	fs.turns[0] = nil
	fs.turns = fs.turns[1:]
	if !f.begun {
		f.begun, f.at = true, maxFollows
	}
	return f, f.messages[0]
}

// maxFollows is more than there are of any channel.
const maxFollows = 1 << 40

// done ends a turn.
func (fs *fanouts) done(f *fanout) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.at == 0 {
		if f.messages[0] != nil {
			fs.waiting--
		}
		f.messages[0] = nil
		f.messages, f.begun = f.messages[1:], false
	}
	if len(f.messages) > 0 {
		fs.turns = append(fs.turns, f)
	} else {
		delete(fs.of, f.channel)
	}
}

// run brings messages to their devices until ctx ends.
func (fs *fanouts) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var free time.Time // when what was reached is made up for
	for {
		f, m := fs.next()
		if f == nil {
			select {
			case <-ctx.Done():
				return
			case <-fs.kick:
			}
			continue
		}
		now := time.Now()
		reached := fs.turn(f, m, now)
		fs.done(f)
		if free.Before(now) {
			free = now
		}
		free = free.Add(time.Duration(reached) * fs.interval)
		if ahead := time.Until(free); ahead > fanoutBurst {
			timer.Reset(ahead - fanoutBurst)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		} else if ctx.Err() != nil {
			return
		}
	}
}

// turn brings a message, or the end of the channel, to the next few who follow,
// and returns how many.
func (fs *fanouts) turn(f *fanout, m *published, now time.Time) (reached int) {
	var batch []*follow
	batch, f.at = f.channel.before(f.at, fs.room[:0])
	for _, to := range slices.Backward(batch) {
		if m == nil {
			to.end(now)
		} else {
			to.take(m, false, now)
		}
	}
	clear(batch)
	return len(batch)
}
