package faults

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a Simulator does beyond its plan.
type Config struct {
	// MagicDeviceTokens has the magic device tokens mean something. Without it
	// they are tokens that were never given out.
	MagicDeviceTokens bool
	// Changed is called after each change of the plan, in their order, with what is
	// true from then on. It must not call the Simulator. Nil means nobody.
	Changed func(Status)
	// Logger gets a line for each change of the plan. Nil means slog.Default().
	Logger *slog.Logger
}

// Simulator decides about faults for a platform, by a plan that can be exchanged at
// any time. It is safe for concurrent use.
type Simulator struct {
	cfg     Config
	planned atomic.Bool // machine is not nil

	mu      sync.Mutex
	machine *Machine  // nil without a plan; guarded by mu
	since   time.Time // when the plan came into force; guarded by mu
}

// New returns a simulator without a plan.
func New(cfg Config) *Simulator {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Changed == nil {
		cfg.Changed = func(Status) {}
	}
	return &Simulator{cfg: cfg}
}

// Decide returns what an event meets.
func (s *Simulator) Decide(ev Event) Fault {
	if s.planned.Load() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.machine != nil {
			if !s.cfg.MagicDeviceTokens {
				ev.DeviceToken = ""
			}
			return s.machine.Decide(ev)
		}
	}
	if ev.Kind != Requested || !s.cfg.MagicDeviceTokens {
		return Fault{}
	}
	f, _ := magic(ev.DeviceToken, ev.Now)
	return f
}

// Status is what a Simulator is doing.
type Status struct {
	// MagicDeviceTokens reports that they mean something.
	MagicDeviceTokens bool `json:"magic_device_tokens"`
	// Plan is in force since Since; nil for none.
	Plan  *Plan      `json:"plan"`
	Since *time.Time `json:"since,omitempty"`
	// Times is how often each rule of Plan has acted.
	Times []uint64 `json:"times,omitempty"`
}

// Put brings a plan into force in place of the one before, and returns what is
// true from then on. The error is that of Plan.Validate, after which all is as before.
//
// Connections that are open count as they are: a fault that comes when a connection
// is opened does not meet them, nor does a black hole.
func (s *Simulator) Put(p Plan) (Status, error) {
	p.Rules = slices.Clone(p.Rules)
	now := time.Now()
	m, err := NewMachine(p, now)
	if err != nil {
		return Status{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machine, s.since = m, now.UTC()
	s.planned.Store(true)
	s.cfg.Logger.Warn("faults on demand are on", slog.String("plan", p.String()), slog.Int("rules", len(p.Rules)))
	return s.changed(), nil
}

// Clear ends all faults of the plan, if there is one, and returns what is true from
// then on. What has met a connection stays with it.
func (s *Simulator) Clear() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine == nil {
		return s.status()
	}
	s.machine, s.since = nil, time.Time{}
	s.planned.Store(false)
	s.cfg.Logger.Warn("faults on demand are off")
	return s.changed()
}

// Status returns what the simulator is doing.
func (s *Simulator) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status()
}

// changed tells Config.Changed. The lock is held.
func (s *Simulator) changed() Status {
	st := s.status()
	s.cfg.Changed(st)
	return st
}

// status returns what is true. The lock is held.
func (s *Simulator) status() Status {
	st := Status{MagicDeviceTokens: s.cfg.MagicDeviceTokens}
	if s.machine != nil {
		p, since := s.machine.plan, s.since
		p.Rules = slices.Clone(p.Rules)
		st.Plan, st.Since, st.Times = &p, &since, s.machine.Times()
	}
	return st
}
