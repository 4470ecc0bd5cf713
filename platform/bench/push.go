package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/heraldpush/herald/credential"
)

// pushRun is one run of the bench of the client library.
type pushRun struct {
	cfg    PushConfig
	target PushTarget

	sinkCore, senderCore int // -1 for any
	pinned               bool

	sink    *child
	samples map[PushPhase]map[string][]pushSample // by the sender's name, a round each
	silent  []silentSample                        // a kind of silence each
}

// pushSample is what a sender used in one round.
type pushSample struct {
	pushResult
	connections int64 // that it opened
}

// silentSample is how the library fared with a sink that fell silent.
type silentSample struct {
	kind silence
	pushResult
}

// RunPush measures the client library and its peers, and reports when
// everything was measured. What is out of bounds it refuses before anything is
// started; when it returns, nothing is running any more.
func RunPush(ctx context.Context, cfg PushConfig) (*PushReport, error) {
	r := &pushRun{cfg: cfg.withDefaults(), samples: map[PushPhase]map[string][]pushSample{}}
	if err := r.cfg.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, MaxRun, fmt.Errorf("the bench took longer than %v", MaxRun))
	defer cancel()
	defer func() {
		if r.sink != nil {
			r.sink.end()
		}
	}()
	err := r.all(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	return r.report(), nil
}

// all starts the sink and measures all rounds.
func (r *pushRun) all(ctx context.Context) (err error) {
	r.sinkCore, r.senderCore, r.pinned = cores()
	if err := r.startSink(ctx); err != nil {
		return err
	}
	for round := range r.cfg.Rounds {
		for _, phase := range r.cfg.Phases {
			if phase == PushSilent {
				continue
			}
			if err := r.round(ctx, round, phase); err != nil {
				return err
			}
		}
	}
	if !slices.Contains(r.cfg.Phases, PushSilent) {
		return nil
	}
	for _, kind := range silences {
		for _, bulk := range []bool{false, true} {
			if err := r.silence(ctx, kind, bulk); err != nil {
				return fmt.Errorf("%s, %s: %w", PushSilent, kind, err)
			}
		}
	}
	return nil
}

// startSink starts the gateway that all push to.
func (r *pushRun) startSink(ctx context.Context) (err error) {
	r.sink, r.target, err = startSink(ctx, r.cfg.Part, r.sinkCore)
	r.target.Payload = payload(r.cfg.Payload)
	return err
}

// startSink starts a gateway that checks nothing on a core, and returns what has to be
// known to push to it, but for the payload.
func startSink(ctx context.Context, part func(context.Context, string) *exec.Cmd, core int) (_ *child, t PushTarget, err error) {
	identity, err := newPeerIdentity()
	if err != nil {
		return nil, t, err
	}
	key, err := credential.NewProviderKey()
	if err != nil {
		return nil, t, err
	}
	p8, err := credential.MarshalP8(key)
	if err != nil {
		return nil, t, err
	}
	sink, err := startPart(ctx, part, partSink, core)
	if err != nil {
		return nil, t, err
	}
	got, err := sink.ask(order{Do: orderBegin, Sink: &sinkSetup{Certificate: append(slices.Clone(identity.chain), identity.key...)}})
	if err == nil && got.Target == nil {
		err = errors.New("the sink does not say where it is")
	}
	if err != nil {
		sink.end()
		return nil, t, err
	}
	return sink, PushTarget{
		Address: got.Target.Address, ServerName: peerName, Roots: identity.chain,
		P8: p8, KeyID: credential.NewKeyID(), TeamID: credential.NewTeamID(), Topic: topic,
	}, nil
}

// round measures each sender once in a phase, in an order of chance.
func (r *pushRun) round(ctx context.Context, round int, phase PushPhase) error {
	order := append([]string{Herald}, r.cfg.Peers...)
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, name := range order {
		one, err := r.measure(ctx, phase, name)
		if err != nil {
			return fmt.Errorf("%s, round %d, %s: %w", phase, round+1, name, err)
		}
		if r.samples[phase] == nil {
			r.samples[phase] = map[string][]pushSample{}
		}
		r.samples[phase][name] = append(r.samples[phase][name], one)
		r.cfg.Progress(fmt.Sprintf("round %d of %d  %-9s  %-14s  %7.2f us a push  %7.0f/s", round+1, r.cfg.Rounds, phase, name,
			one.cpuMicros(), one.perSecond()))
	}
	return nil
}

// measure has a sender in a process of its own send a round.
func (r *pushRun) measure(ctx context.Context, phase PushPhase, name string) (one pushSample, err error) {
	plan := r.cfg.plan(phase, name)
	plan.Target = r.target
	if name == Herald && r.cfg.Profile != "" {
		if plan.Profile, err = filepath.Abs(r.cfg.Profile); err != nil {
			return one, err
		}
	}
	if _, err := r.sink.ask(order{Do: orderManner, Manner: &sinkManner{Delay: plan.Delay}}); err != nil {
		return one, err
	}
	if one.pushResult, err = r.send(ctx, plan, nil); err != nil {
		return one, err
	}
	if len(one.Failed) > 0 {
		return one, fmt.Errorf("pushes failed: %v", one.Failed)
	}
	got, err := r.sink.ask(order{Do: orderManner, Manner: &sinkManner{}})
	if err != nil {
		return one, err
	}
	one.connections = got.Accepted
	return one, nil
}

// silence has the library push to a sink that falls silent once the connection
// is there.
func (r *pushRun) silence(ctx context.Context, kind silence, bulk bool) error {
	plan := r.cfg.plan(PushSilent, Herald)
	plan.Bulk = bulk
	plan.Target = r.target
	if _, err := r.sink.ask(order{Do: orderManner, Manner: &sinkManner{}}); err != nil {
		return err
	}
	result, err := r.send(ctx, plan, func() error {
		_, err := r.sink.ask(order{Do: orderManner, Manner: &sinkManner{Silence: kind}})
		return err
	})
	if err != nil {
		return err
	}
	r.silent = append(r.silent, silentSample{kind, result})
	how := PushBlocking
	if bulk {
		how = PushBulk
	}
	r.cfg.Progress(fmt.Sprintf("silent        %-9s  %-14s  %d pushes ended: %v", how, kind, result.Pushes, result.Failed))
	return nil
}

// send starts a sender, which connects and warms up, and has it carry out the plan.
func (r *pushRun) send(ctx context.Context, plan pushPlan, connected func() error) (one pushResult, err error) {
	sender, err := startPart(ctx, r.cfg.Part, partSender, r.senderCore)
	if err != nil {
		return one, err
	}
	defer sender.end()
	if _, err := sender.ask(order{Do: orderBegin, Push: &plan}); err != nil {
		return one, err
	}
	if connected != nil {
		if err := connected(); err != nil {
			return one, err
		}
	}
	got, err := sender.ask(order{Do: orderRun})
	if err != nil {
		return one, err
	}
	if got.Push == nil || got.Push.Pushes == 0 {
		return one, errors.New("nothing was sent")
	}
	return *got.Push, nil
}

func (r *pushResult) cpuMicros() float64 {
	return float64(r.Used.CPU) / 1e3 / float64(r.Pushes)
}

func (r *pushResult) perSecond() float64 { return float64(r.Pushes) / r.Wall.Seconds() }

// share returns which part of the rate that streams and round trip allow was
// reached.
func (r *pushResult) share(streams int) float64 {
	return r.perSecond() * max(r.RoundTrip, time.Nanosecond).Seconds() / float64(streams)
}
