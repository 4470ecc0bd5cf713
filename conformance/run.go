package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"
)

// The results of a case.
const (
	Passed  = "ok"
	Failed  = "fail"
	Skipped = "skip"
)

// Result is what came of a case.
type Result struct {
	Theme string `json:"theme"`
	Name  string `json:"name"`
	// Result is Passed, Failed or Skipped.
	Result string `json:"result"`
	// Got and Want are the outcomes of the step that failed.
	Got  string `json:"got,omitempty"`
	Want string `json:"want,omitempty"`
	// Detail says more about what failed, or why the case was skipped.
	Detail string `json:"detail,omitempty"`
	// Why is where the rule stands.
	Why string `json:"why"`
	// Ours tells that the rule is Herald's own.
	Ours bool `json:"ours,omitempty"`
	// Milliseconds is how long it took.
	Milliseconds int64 `json:"ms"`
}

// Config says how to run cases.
type Config struct {
	// Target is the gateway. Required.
	Target *Target
	// Run selects the cases whose "theme/name" it matches. Nil selects all.
	Run *regexp.Regexp
	// Documented leaves out the cases whose rule is Herald's own.
	Documented bool
	// Workers is how many cases run at a time. Zero means 8.
	Workers int
	// Timeout bounds a case. Zero means 5 s.
	Timeout time.Duration
	// Report is called with each result, in the order of the suite and from one
	// goroutine. Required.
	Report func(Result)
}

// Select returns the cases that a configuration selects.
func (s *Suite) Select(cfg Config) (selected []Case) {
	for _, c := range s.Cases {
		if cfg.Run != nil && !cfg.Run.MatchString(c.id()) || cfg.Documented && c.Ours {
			continue
		}
		selected = append(selected, c)
	}
	return selected
}

// runner is a run of cases against a target.
type runner struct {
	cfg    Config
	mint   *mint
	made   map[string]tls.Certificate // certificates that no gateway trusts
	probes map[string]func() error    // why a feature is not there
}

// Run runs cases, and returns when all have been reported. The error is an
// *UnreachableError if nothing answers at the gateway's address, the
// context's, or a fault of this side; that cases failed is none.
func (s *Suite) Run(ctx context.Context, cfg Config) error {
	if cfg.Workers <= 0 {
		cfg.Workers = 8
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	r := &runner{cfg: cfg, probes: make(map[string]func() error)}
	var err error
	if r.mint, err = newMint(cfg.Target); err != nil {
		return err
	}
	if r.made, err = strangers(cfg.Target); err != nil {
		return err
	}
	if err := r.reach(ctx); err != nil {
		return err
	}
	for name, p := range s.probes {
		r.probes[name] = sync.OnceValue(func() error { return r.probe(ctx, &p) })
	}
	r.all(ctx, s.Select(cfg))
	return context.Cause(ctx)
}

// reach finds out whether anything answers.
func (r *runner) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	conn, err := r.cfg.Target.dial(ctx, r.cfg.Target.Addresses[Gateway], &tls.Config{NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
	if err != nil {
		if _, ok := errors.AsType[*UnreachableError](err); !ok {
			err = &UnreachableError{Address: r.cfg.Target.Addresses[Gateway], Err: err}
		}
		return err
	}
	_ = conn.Close() // it was only to see
	return nil
}

// all runs cases side by side, then those that want to be alone, and reports
// them in order.
func (r *runner) all(ctx context.Context, cases []Case) {
	results := make([]chan Result, len(cases))
	for i := range results {
		results[i] = make(chan Result, 1)
	}
	var working sync.WaitGroup
	working.Go(func() {
		var beside sync.WaitGroup
		free := make(chan struct{}, r.cfg.Workers)
		for i := range cases {
			if cases[i].Alone {
				continue
			}
			free <- struct{}{}
			beside.Go(func() {
				results[i] <- r.run(ctx, &cases[i], i)
				<-free
			})
		}
		beside.Wait()
		for i := range cases {
			if cases[i].Alone {
				results[i] <- r.run(ctx, &cases[i], i)
			}
		}
	})
	for i := range cases {
		r.cfg.Report(<-results[i])
	}
	working.Wait()
}

// mismatchError says that an outcome was not what was wanted.
type mismatchError struct{ got, want, detail string }

func (e *mismatchError) Error() string {
	text := "got " + e.got + ", want " + e.want
	if e.detail != "" {
		text += " (" + e.detail + ")"
	}
	return text
}

// run runs a case and says what came of it.
func (r *runner) run(ctx context.Context, c *Case, turn int) Result {
	began := time.Now()
	res := Result{Theme: c.Theme, Name: c.Name, Why: c.Why, Ours: c.Ours, Result: Passed}
	err := r.features(c)
	if err == nil {
		err = r.try(ctx, c, turn)
	}
	res.Milliseconds = time.Since(began).Milliseconds()
	if err == nil {
		return res
	}
	res.Result, res.Detail = Failed, err.Error()
	if lack, ok := errors.AsType[*lackError](err); ok {
		res.Result, res.Detail = Skipped, lack.Error()
	} else if m, ok := errors.AsType[*mismatchError](err); ok {
		res.Got, res.Want, res.Detail = m.got, m.want, m.detail
	}
	return res
}

// features returns a *lackError if the gateway has not what a case needs.
func (r *runner) features(c *Case) error {
	for _, need := range c.Needs {
		if err := r.probes[need](); err != nil {
			return &lackError{need}
		}
	}
	return nil
}

// probe returns why the gateway does not have a feature, nil if it has it.
func (r *runner) probe(ctx context.Context, p *Probe) error {
	return r.try(ctx, &p.Case, 0)
}

// try takes the steps of a case.
func (r *runner) try(ctx context.Context, c *Case, turn int) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.Timeout, fmt.Errorf("the case took longer than %v", r.cfg.Timeout))
	defer cancel()
	t := &trial{runner: r, c: c, maker: &maker{values: newValues(r.cfg.Target, turn), mint: r.mint, mode: c.mode()}}
	if err := t.rehearse(); err != nil {
		return err
	}
	defer func() {
		t.close()
		if m, ok := errors.AsType[*mismatchError](err); ok && ctx.Err() != nil {
			m.detail = context.Cause(ctx).Error()
		}
	}()
	return t.run(ctx)
}

// certificate returns the certificate of a name, or that of a mode.
func (r *runner) certificate(name, mode string) (*tls.Certificate, error) {
	switch {
	case name == "none", name == "" && mode == byToken:
		return nil, nil //nolint:nilnil // to present none is no error
	case name == "":
		name = Certificate
	}
	if c, ok := r.made[name]; ok {
		return &c, nil
	}
	if c, ok := r.cfg.Target.Certificates[name]; ok {
		return &c, nil
	}
	return nil, &lackError{name}
}

// versions are those of TLS that a case may name.
var versions = map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// themes returns the themes of results, each once, in their order.
func themes(results []Result) (names []string) {
	for _, r := range results {
		if !slices.Contains(names, r.Theme) {
			names = append(names, r.Theme)
		}
	}
	return names
}
