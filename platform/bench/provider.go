package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// holdTimeout is how long the push server waits for the answer to a push: longer
// than the sink holds any.
const holdTimeout = 2 * orderTimeout

// providerRun is one run of the bench of the push server.
type providerRun struct {
	cfg     ProviderConfig
	dir     string // has the data folders
	sink    *child
	gateway PushTarget
	samples map[ProviderPhase][]providerSample // a round each
}

// providerRound is a push server, and who calls it, in one round.
type providerRound struct {
	*providerRun
	number int
	folder string
	server *child
	caller *child
	api    *restClient
	// answered is how many pushes the sink had answered when they were counted last.
	answered int64
}

// RunProvider measures a push server before a gateway that checks nothing, and
// reports when everything was measured. What is out of bounds it refuses before
// anything is started; when it returns, nothing is running any more, and nothing is
// left of the data folders.
func RunProvider(ctx context.Context, cfg ProviderConfig) (_ *ProviderReport, err error) {
	r := &providerRun{cfg: cfg.withDefaults(), samples: map[ProviderPhase][]providerSample{}}
	if err := r.cfg.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, MaxRun, fmt.Errorf("the bench took longer than %v", MaxRun))
	defer cancel()
	if r.dir, err = os.MkdirTemp(r.cfg.Dir, "herald-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if r.sink, r.gateway, err = startSink(ctx, r.cfg.Part, -1); err != nil {
		return nil, err
	}
	defer r.sink.end()
	for i := range r.cfg.Rounds {
		if err = r.round(ctx, i); err != nil {
			err = fmt.Errorf("round %d: %w", i+1, err)
			break
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	return r.report(), nil
}

// round measures all phases with a push server that is new.
func (r *providerRun) round(ctx context.Context, number int) (err error) {
	o := &providerRound{providerRun: r, number: number, folder: filepath.Join(r.dir, fmt.Sprintf("round-%d", number+1))}
	defer func() {
		for _, c := range []*child{o.caller, o.server} {
			if c != nil {
				c.end()
			}
		}
		err = errors.Join(err, os.RemoveAll(o.folder))
	}()
	if err := o.start(ctx); err != nil {
		return err
	}
	for _, phase := range ProviderPhases {
		measured := r.cfg.measures(phase)
		if !measured && phase != ProviderRegister {
			continue
		}
		if measured && r.cfg.Profile != "" && (phase != ProviderRegister || len(r.cfg.Phases) == 1) {
			if err := o.profile(); err != nil {
				return err
			}
		}
		s, err := o.measure(ctx, phase)
		if err != nil {
			return fmt.Errorf("%s: %w", phase, err)
		}
		if measured {
			r.samples[phase] = append(r.samples[phase], *s)
		}
		r.cfg.Progress(fmt.Sprintf("round %d of %d  %-9s  %s", number+1, r.cfg.Rounds, phase, s))
	}
	return nil
}

// profile has the push server write one from now on.
func (o *providerRound) profile() error {
	path, err := filepath.Abs(o.cfg.Profile)
	if err != nil {
		return err
	}
	_, err = o.server.ask(order{Do: orderProfile, Profile: path})
	return err
}

// The app of the bench, and how many API keys call: one alone may not send as often
// as is measured.
const (
	providerApp  = "bench"
	providerKeys = 64
)

// start starts a push server on a new folder, with an app that has a credential,
// and who calls it.
func (o *providerRound) start(ctx context.Context) (err error) {
	if o.server, err = startPart(ctx, o.cfg.Part, partProvider, -1); err != nil {
		return err
	}
	got, err := o.server.ask(order{Do: orderBegin, Provider: &providerSetup{Dir: o.folder, Gateway: o.gateway}})
	if err != nil {
		return err
	}
	if got.Provider == nil {
		return errors.New("the push server does not say where it is")
	}
	o.api = newRESTClient(got.Provider.Address, got.Provider.Key)
	keys, err := o.setUp(ctx)
	if err != nil {
		return err
	}
	if o.caller, err = startPart(ctx, o.cfg.Part, partCaller, -1); err != nil {
		return err
	}
	setup := callerSetup{Address: o.api.host(), Keys: keys, App: providerApp, InFlight: o.cfg.InFlight, Payload: o.cfg.Payload}
	_, err = o.caller.ask(order{Do: orderBegin, Caller: &setup})
	return err
}

// setUp enters the app with its credential, and returns keys for it.
func (o *providerRound) setUp(ctx context.Context) (keys []string, err error) {
	if err := o.api.do(ctx, "POST", "/v1/apps", map[string]any{"id": providerApp, "bundle_id": topic}, nil); err != nil {
		return nil, err
	}
	credential := map[string]any{"file": o.gateway.P8, "team_id": o.gateway.TeamID, "key_id": o.gateway.KeyID}
	if err := o.api.do(ctx, "POST", "/v1/apps/"+providerApp+"/credentials", credential, nil); err != nil {
		return nil, err
	}
	spec := map[string]any{"scopes": []string{"send", "devices"}, "apps": []string{providerApp}}
	for range providerKeys {
		var made struct {
			Key string `json:"key"`
		}
		if err := o.api.do(ctx, "POST", "/v1/keys", spec, &made); err != nil {
			return nil, err
		}
		keys = append(keys, made.Key)
	}
	// That the credential was checked cost a push or two.
	_, err = o.pushed()
	return keys, err
}

// measure measures a phase.
func (o *providerRound) measure(ctx context.Context, phase ProviderPhase) (*providerSample, error) {
	switch phase {
	case ProviderRegister:
		return o.calls(ctx, callPlan{Call: callRegister, Count: o.cfg.Installations}, nil)
	case ProviderUnchanged:
		return o.calls(ctx, callPlan{Call: callRegister, Count: o.cfg.Count}, nil)
	case ProviderSingle:
		return o.calls(ctx, callPlan{Call: callSend, Count: o.cfg.Count}, nil)
	case ProviderQueue:
		return o.queue(ctx)
	case ProviderBroadcast:
		return o.broadcast(ctx)
	case ProviderUrgent:
		return o.urgent(ctx)
	}
	return nil, fmt.Errorf("no phase %q", phase)
}

// callsAtOnce bounds the calls of one order, which has its time.
const callsAtOnce = 100_000

// call has calls made, and adds them to a sample.
func (o *providerRound) call(plan callPlan, s *providerSample) error {
	plan.Of = o.cfg.Installations
	for left := plan.Count; left > 0; left -= plan.Count {
		plan.Count = min(left, callsAtOnce)
		got, err := o.caller.ask(order{Do: orderRun, Calls: &plan})
		if err != nil {
			return err
		}
		if got.Calls == nil || got.Calls.Took == nil {
			return errors.New("the caller does not say what it did")
		}
		s.calls += got.Calls.Calls
		s.callWall += got.Calls.Wall
		s.took.Merge(got.Calls.Took)
		s.callerCPU += time.Duration(got.Calls.CPU)
		plan.First += plan.Count
	}
	return nil
}

// calls measures calls, what they cost by the time that everything has settled, and the
// pushes that come of them. During, if it is not nil, is called once the calls were
// answered, and returns the time from which the pushes count.
func (o *providerRound) calls(ctx context.Context, plan callPlan, during func(*providerSample) (time.Time, error)) (*providerSample, error) {
	return o.watch(ctx, func(s *providerSample) error {
		began := time.Now()
		if err := o.call(plan, s); err != nil {
			return err
		}
		if during != nil {
			var err error
			if began, err = during(s); err != nil {
				return err
			}
		}
		if plan.Call != callSend {
			return nil
		}
		return o.arrive(ctx, s, began, plan.Count)
	})
}

// arrive waits until so many pushes more have been answered by the sink.
func (o *providerRound) arrive(ctx context.Context, s *providerSample, began time.Time, want int64) error {
	for {
		n, err := o.pushed()
		if err != nil {
			return err
		}
		if s.pushes += n; s.pushes > want {
			return fmt.Errorf("%d pushes were sent where there should have been %d", s.pushes, want)
		}
		if s.pushes == want {
			s.pushWall = time.Since(began)
			return nil
		}
		if time.Since(began) > arriveTimeout {
			return fmt.Errorf("%d of %d pushes were sent in %v", s.pushes, want, arriveTimeout)
		}
		if err := pause(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// Times of looking at what runs.
const (
	lookEvery     = 5 * time.Millisecond
	settleEvery   = 100 * time.Millisecond
	settleTimeout = time.Minute
	arriveTimeout = 20 * time.Minute
	// settledShare is the part of a core that a push server may use that has settled,
	// settledLooks how often in a row it has to.
	settledShare = 0.1
	settledLooks = 5
)

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pushed returns how many pushes the sink has answered since it was asked last.
func (o *providerRound) pushed() (int64, error) {
	got, err := o.sink.ask(order{Do: orderCount})
	n := got.Answered - o.answered
	o.answered = got.Answered
	return n, err
}

// queue has messages pile up as the gateway does not answer, and then go out.
func (o *providerRound) queue(ctx context.Context) (*providerSample, error) {
	if err := o.behave(sinkManner{Silence: held}); err != nil {
		return nil, err
	}
	return o.calls(ctx, callPlan{Call: callSend, Count: o.cfg.Count}, func(*providerSample) (time.Time, error) {
		return time.Now(), o.behave(sinkManner{})
	})
}

// behave tells the sink how to answer.
func (o *providerRound) behave(m sinkManner) error {
	_, err := o.sink.ask(order{Do: orderManner, Manner: &m})
	return err
}

// broadcast sends a message to everybody.
func (o *providerRound) broadcast(ctx context.Context) (*providerSample, error) {
	return o.watch(ctx, func(s *providerSample) error {
		began := time.Now()
		id, err := o.toEverybody(ctx)
		if err != nil {
			return err
		}
		if err := o.arrive(ctx, s, began, o.cfg.Installations); err != nil {
			return err
		}
		return o.ended(ctx, id)
	})
}

// toEverybody has a message sent to everybody, and returns its ID.
func (o *providerRound) toEverybody(ctx context.Context) (string, error) {
	var sent struct {
		ID string `json:"id"`
	}
	whole := map[string]any{"to": map[string]any{"everybody": true}, "payload": rawJSON(payload(o.cfg.Payload))}
	err := o.api.do(ctx, "POST", "/v1/apps/"+providerApp+"/messages", whole, &sent)
	return sent.ID, err
}

// ended waits until a message for everybody is done.
func (o *providerRound) ended(ctx context.Context, id string) error {
	for began := time.Now(); ; {
		var m struct {
			State  string `json:"state"`
			Counts struct {
				Accepted int64 `json:"accepted"`
			} `json:"counts"`
		}
		if err := o.api.do(ctx, "GET", "/v1/apps/"+providerApp+"/messages/"+id, nil, &m); err != nil {
			return err
		}
		switch {
		case m.State == "done" && m.Counts.Accepted == o.cfg.Installations:
			return nil
		case m.State == "done", time.Since(began) > settleTimeout:
			return fmt.Errorf("message %s is %s, and %d of %d were accepted", id, m.State, m.Counts.Accepted, o.cfg.Installations)
		}
		if err := pause(ctx, settleEvery); err != nil {
			return err
		}
	}
}

// urgent measures how long messages for one take, from the call until the gateway has them:
// alone, and while there is always a broadcast under way.
func (o *providerRound) urgent(ctx context.Context) (*providerSample, error) {
	plan := callPlan{Call: callSend, Count: o.cfg.Urgent, Every: o.cfg.Every, Marked: true}
	return o.watch(ctx, func(s *providerSample) error {
		if err := o.behave(sinkManner{}); err != nil {
			return err
		}
		began := time.Now()
		if err := o.call(plan, new(providerSample)); err != nil {
			return err
		}
		if err := o.arrive(ctx, new(providerSample), began, o.cfg.Urgent); err != nil {
			return err
		}
		var err error
		if s.alone, err = o.marked(); err != nil {
			return err
		}
		if err := o.behave(sinkManner{}); err != nil {
			return err
		}
		began = time.Now()
		calling := make(chan error, 1)
		go func() { calling <- o.call(plan, s) }()
		want := o.cfg.Urgent
		for over := false; !over; {
			if _, err = o.toEverybody(ctx); err != nil {
				return errors.Join(err, <-calling)
			}
			want += o.cfg.Installations
			if over, err = o.beside(ctx, calling, s, want-o.cfg.Urgent/2); err != nil {
				return err
			}
		}
		if err := o.arrive(ctx, s, began, want); err != nil {
			return err
		}
		s.beside, err = o.marked()
		return err
	})
}

// beside waits until the calls are over, or nearly so many pushes have been answered
// that the broadcast under way is at its end.
func (o *providerRound) beside(ctx context.Context, calling <-chan error, s *providerSample, nearly int64) (over bool, err error) {
	for {
		select {
		case err := <-calling:
			return true, err
		default:
		}
		n, err := o.pushed()
		if s.pushes += n; err == nil && s.pushes < nearly {
			err = pause(ctx, lookEvery)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return false, errors.Join(err, <-calling)
		}
		return false, nil
	}
}

// outboxFolder is where a push server has its outbox, in its data folder.
const outboxFolder = "outbox"

// folderBytes returns how large the files in a folder are. What is removed
// meanwhile is not counted.
func folderBytes(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // it has been removed
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// phasesOf returns the phases that are measured, in their order.
func (c *ProviderConfig) phasesOf() []ProviderPhase {
	return slices.DeleteFunc(slices.Clone(ProviderPhases), func(p ProviderPhase) bool { return !c.measures(p) })
}
