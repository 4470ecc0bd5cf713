package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/wire"
)

// answerFields are what most answers have.
var answerFields = []hpack.HeaderField{{Name: "apns-id"}, {Name: "content-type", Value: "application/json"}}

// accept answers a push that came at a time, and that the spool has taken
// (docs/protocol/provider.md#answers).
func (s *session) accept(ctx context.Context, r *h2.Request, o *spool.Offering, at time.Time, unique *uuids) {
	id := o.Notification.ID
	s.gateway.traceAccepted(o, s.number, at)
	fields := [2]hpack.HeaderField{{Name: "apns-id", Value: string(id)}}
	n := 1
	if s.env == apns.Sandbox {
		fields[1] = hpack.HeaderField{Name: "apns-unique-id", Value: unique.next()}
		n++
	}
	if s.log.Enabled(ctx, slog.LevelDebug) {
		s.log.DebugContext(ctx, "gateway accepts a push",
			slog.String("apns-id", strings.Clone(string(id))), slog.String("apns-unique-id", strings.Clone(fields[1].Value)))
	}
	r.Respond(http.StatusOK, fields[:n], nil)
}

// reject answers a push that is refused (docs/protocol/provider.md#answers).
func reject(r *h2.Request, id apns.NotificationID, why *apns.Rejection) {
	rejectNamed(r, "apns-id", id, why)
}

// rejectNamed answers a request that is refused and goes by the ID in a header
// of this name.
func rejectNamed(r *h2.Request, header string, id apns.NotificationID, why *apns.Rejection) {
	fields := [3]hpack.HeaderField{
		{Name: header, Value: string(id)},
		{Name: "content-type", Value: "application/json"},
	}
	n := 2
	if s := retryAfter(why); s > 0 {
		fields[n] = hpack.HeaderField{Name: "retry-after", Value: strconv.FormatInt(s, 10)}
		n++
	}
	var room [128]byte
	r.Respond(why.Status, fields[:n], wire.AppendRejection(room[:0], why))
}

// retryAfter returns the seconds, rounded up, after which the sender may try
// again, or 0 for an answer that does not say.
func retryAfter(why *apns.Rejection) int64 {
	switch why.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return int64((why.RetryAfter + time.Second - 1) / time.Second)
	}
	return 0
}

// refusal is a push that is not accepted.
type refusal struct {
	request *h2.Request
	id      apns.NotificationID
	address apns.Address // as far as it is known
	err     error
}

// refusals are those of a batch.
type refusals []refusal

func (rs *refusals) add(r *h2.Request, id apns.NotificationID, at apns.Address, err error) {
	*rs = append(*rs, refusal{r, id, at, err})
}

// refuse answers one push that is not accepted.
func (s *session) refuse(ctx context.Context, r *h2.Request, o *spool.Offering, err error) {
	s.refuseAll(ctx, refusals{{r, o.Notification.ID, s.gateway.addressOf(o, s.env), err}})
}

// refuseAll answers pushes that are not accepted. An error that is no rejection
// is a fault of this side, of which the sender learns no more than that there
// was one.
func (s *session) refuseAll(ctx context.Context, rs refusals) {
	s.logRefusals(ctx, rs)
	for _, x := range rs {
		why, ok := errors.AsType[*apns.Rejection](x.err)
		if !ok {
			why = apns.Reject(apns.InternalServerError, "")
		}
		s.conduct.refuse(why.Reason)
		s.gateway.traceRefused(x.id, x.address, s.number, x.err)
		reject(x.request, x.id, why)
	}
}

// logRefusals writes a line for each refusal at level debug, and one for all
// faults, since a fault of a store is that of a whole batch.
func (s *session) logRefusals(ctx context.Context, rs refusals) {
	debug := s.log.Enabled(ctx, slog.LevelDebug)
	var fault *refusal // the first
	faults := 0
	for i := range rs {
		x := &rs[i]
		switch why, ok := errors.AsType[*apns.Rejection](x.err); {
		case !ok:
			if fault == nil {
				fault = x
			}
			faults++
		case debug:
			s.log.DebugContext(ctx, "gateway refuses a push", slog.Any("reason", why), slog.String("apns-id", strings.Clone(string(x.id))))
		}
	}
	if fault != nil {
		s.log.ErrorContext(ctx, "gateway could not serve pushes",
			slog.Any("error", fault.err), slog.Int("pushes", faults), slog.String("apns-id", strings.Clone(string(fault.id))))
	}
}
