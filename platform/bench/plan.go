package bench

import (
	"net/http"
	"strings"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/load"
)

// farExpiration is long after any run.
const farExpiration = "4000000000"

// plan returns what is sent to a server in a scenario.
func (r *run) plan(s *server, sc scenario) load.Plan {
	p := load.Plan{
		Address: s.target.Address, ServerName: s.target.ServerName, Roots: s.target.Roots,
		Shape: sc.shape, Connections: sc.connections, Streams: sc.streams, Rate: sc.rate,
		Warmup: warmupPushes, Pushes: r.cfg.Pushes, Duration: r.cfg.Duration,
		Push: load.Push{
			Topic: s.target.Topic, PushType: string(apns.PushTypeAlert), Priority: "10", Expiration: farExpiration,
			Payload: payload(r.cfg.Payload),
		},
		Paths: r.paths(),
	}
	if r.cfg.Pushes > 0 {
		p.Warmup = min(warmupPushes, r.cfg.Pushes)
	}
	if sc.rate > 0 {
		p.Pushes, p.Duration = min(int64(float64(sc.rate)*pacedFor.Seconds()), load.MaxPushes), 0
		if r.cfg.Duration > 0 {
			p.Pushes, p.Duration = 0, r.cfg.Duration
		}
	}
	if r.cfg.Unstored {
		p.Push.Expiration = "0"
	}
	if r.cfg.Auth == AuthCertificate {
		p.Certificate = s.target.Certificate
	} else {
		p.Push.Authorization = s.target.Authorization
	}
	if r.cfg.BadShare > 0 {
		p.BadShare, p.Bad = r.cfg.BadShare, bad()
		if s.name != Gateway { // a peer that checks nothing finds all good
			for i := range p.Bad {
				p.Bad[i].Status = http.StatusOK
			}
		}
	}
	return p
}

// What a payload begins and ends with.
const (
	payloadBegin = `{"aps":{"alert":"`
	payloadEnd   = `"}}`
)

// payload returns one of so many bytes, minPayload at least.
func payload(n int) []byte {
	return []byte(payloadBegin + strings.Repeat("x", n-len(payloadBegin)-len(payloadEnd)) + payloadEnd)
}

// bad returns the bad pushes: one for each stage of the road through a gateway.
func bad() []load.Bad {
	of := func(reason apns.Reason, b load.Bad) load.Bad {
		b.Status, b.Reason = apns.Reject(reason, "").Status, string(reason)
		return b
	}
	return []load.Bad{
		of(apns.BadPriority, load.Bad{Priority: "11"}),
		of(apns.TopicDisallowed, load.Bad{Topic: "com.example.other"}),
		of(apns.PayloadEmpty, load.Bad{Payload: []byte("{")}),
		of(apns.BadDeviceToken, load.Bad{Path: badPaths()[0]}),
	}
}
