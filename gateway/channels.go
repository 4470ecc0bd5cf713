package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// errands are those of a connection that wait for a store. Few connections have
// any, so there is a goroutine only while there are some. There are no more than
// the connection has streams.
type errands struct {
	mu      sync.Mutex
	waiting []errand // guarded by mu
	running bool     // guarded by mu
	runners sync.WaitGroup
}

// add has an errand run after those that were added before, together with
// others that wait by then.
func (es *errands) add(e errand, run func([]errand)) {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.waiting = append(es.waiting, e)
	if es.running {
		return
	}
	es.running = true
	es.runners.Go(func() {
		for batch := es.take(); batch != nil; batch = es.take() {
			run(batch)
		}
	})
}

// take returns the errands that wait; if there are none, nil, and nothing runs
// any more.
func (es *errands) take() []errand {
	es.mu.Lock()
	defer es.mu.Unlock()
	batch := es.waiting
	es.waiting = nil
	es.running = batch != nil
	return batch
}

// wait returns when all errands have run. None may be added any more.
func (es *errands) wait() { es.runners.Wait() }

// runErrands runs errands in their order, and answers them.
func (s *session) runErrands(batch []errand) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	var refused refusals
	for i := range batch {
		e := &batch[i]
		began := time.Now()
		done, err := s.run(ctx, e)
		s.traceBroadcast(e, began, err)
		s.binding.settle(1, err == nil)
		if err != nil {
			refused.add(e.request, e.id, apns.Address{}, err)
			continue
		}
		s.conduct.accept(1, time.Now())
		fields := append(done.fields, hpack.HeaderField{Name: "apns-request-id", Value: string(e.id)})
		if len(done.body) > 0 {
			fields = append(fields, hpack.HeaderField{Name: "content-type", Value: "application/json"})
		}
		e.request.Respond(done.status, fields, done.body)
	}
	s.refuseErrands(refused)
}

// refuseErrands answers requests of broadcast push that are refused.
func (s *session) refuseErrands(rs refusals) {
	s.logRefusals(context.Background(), rs)
	for _, x := range rs {
		why, ok := errors.AsType[*apns.Rejection](x.err)
		if !ok {
			why = apns.Reject(apns.InternalServerError, "")
		}
		s.conduct.refuse(why.Reason)
		rejectNamed(x.request, "apns-request-id", x.id, why)
	}
}

// done is the answer to an errand, but for what all have.
type done struct {
	status int
	fields []hpack.HeaderField
	body   []byte
}

// run does what an errand asks for (docs/protocol/broadcast.md#requests).
func (s *session) run(ctx context.Context, e *errand) (done, error) {
	r := s.gateway.cfg.Registry
	switch e.action {
	case createChannel:
		c, err := r.CreateChannel(ctx, e.owner, e.policy)
		return done{status: http.StatusCreated, fields: []hpack.HeaderField{{Name: "apns-channel-id", Value: string(c.ID)}}}, err
	case readChannel:
		c, err := r.Channel(ctx, e.owner, e.channel)
		return done{status: http.StatusOK, body: wire.ChannelConfig{StoragePolicy: c.StoragePolicy}.Append(nil)}, err
	case deleteChannel:
		err := r.DeleteChannel(ctx, e.owner, e.channel)
		if err == nil {
			s.gateway.cfg.Spool.EndChannel(e.channel)
		}
		return done{status: http.StatusNoContent}, err
	case listChannels:
		ids, err := r.Channels(ctx, e.owner)
		return done{status: http.StatusOK, body: wire.AppendChannelList(nil, ids)}, err
	case broadcast:
		fields := []hpack.HeaderField{{Name: "apns-unique-id", Value: apns.NewUUID()}}
		return done{status: http.StatusOK, fields: fields}, s.publish(ctx, e)
	}
	return done{}, fmt.Errorf("there is no action %d", e.action)
}

// publish publishes the message of an errand on its channel.
func (s *session) publish(ctx context.Context, e *errand) error {
	c, err := s.gateway.cfg.Registry.Channel(ctx, e.owner, e.channel)
	if err != nil {
		return err
	}
	if c.StoragePolicy == apns.NoMessageStored && e.message.Expiration != apns.DoNotStore {
		return apns.Reject(apns.BadExpirationDate, "the channel stores no message")
	}
	if err := s.gateway.messages[c.StoragePolicy].takeMessage(c.ID, time.Now()); err != nil {
		return err
	}
	_, err = s.gateway.cfg.Spool.Publish(ctx, c.ID, c.StoragePolicy, e.message)
	return err
}
