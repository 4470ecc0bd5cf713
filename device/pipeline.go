package device

import (
	"sync"
	"sync/atomic"
	"time"
)

// queuedOutcomes bounds what waits for the disk. All of it is written at once.
const queuedOutcomes = 256

// pipeline does what the steps of a session lead to, in their order, while
// further steps are taken. What has come together while the disk was busy
// shares one wait for the disk and one write to the courier.
type pipeline struct {
	link    *link
	session *session
	steps   chan outcome
	behind  atomic.Int32  // outcomes that are not done with
	broken  chan struct{} // closed when nothing more can be written, to courier or folder
	running sync.WaitGroup
	err     error // why that is; read after running
	useless bool  // the folder can not be written, so that nothing may happen; run's own
}

func (l *link) newPipeline(s *session) *pipeline {
	p := &pipeline{link: l, session: s, steps: make(chan outcome, queuedOutcomes), broken: make(chan struct{})}
	p.running.Go(p.run)
	return p
}

// push takes a step, and has done what it leads to. The error is that of the
// step.
func (p *pipeline) push(step func(now time.Time) (outcome, error)) error {
	d := p.link.device
	d.mu.Lock()
	o, err := step(time.Now())
	changed := d.memory.changed
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if o.effects == nil && o.frames == nil && !changed {
		return nil
	}
	p.behind.Add(1)
	select {
	case p.steps <- o:
	default: // no frame is read until disk and delegates catch up
		p.steps <- o
		p.session.held(time.Now())
	}
	return nil
}

// end waits until all that was pushed is done, and returns why not all was.
func (p *pipeline) end() error {
	close(p.steps)
	p.running.Wait()
	return p.err
}

func (p *pipeline) run() {
	for o := range p.steps {
		batch := []outcome{o}
		for len(batch) < queuedOutcomes && len(p.steps) > 0 {
			batch = append(batch, <-p.steps) // there is no other reader
		}
		if !p.useless {
			if err := p.do(batch); err != nil && p.err == nil {
				p.err = err
				close(p.broken)
			}
		}
		p.behind.Add(int32(-len(batch))) //nolint:gosec // of queuedOutcomes at most
	}
}

// do does what steps led to, but for the frames once the courier is gone.
func (p *pipeline) do(batch []outcome) error {
	d := p.link.device
	if err := d.save(); err != nil {
		p.useless = true
		return err
	}
	var effects []effect
	var frames []byte
	for _, o := range batch {
		effects, frames = append(effects, o.effects...), append(frames, o.frames...)
	}
	if all := receivedIn(effects); len(all) > 0 {
		if err := d.journal.commit(all); err != nil {
			p.useless = true
			return err
		}
		d.mu.Lock()
		p.session.committed(all)
		d.mu.Unlock()
	}
	for _, e := range effects {
		p.link.effects <- e // waits for delegates that are behind
	}
	if p.link.herald {
		frames = gatherAcks(frames)
	}
	if len(frames) > 0 && p.err == nil {
		return p.link.write(frames, writeTimeout)
	}
	return nil
}
