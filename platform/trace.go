package platform

import (
	"log/slog"

	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/trace"
)

// openTrace opens what is kept of what happened, if anything is to be.
func (p *Platform) openTrace() (err error) {
	if p.cfg.TraceOff {
		return nil
	}
	cfg := p.cfg.Trace
	cfg.Logger = p.cfg.Logger.With(slog.String("room", "trace"))
	p.Trace, err = trace.Open(cfg)
	return err
}

// hops are what the outcomes of the spool are called in a story.
var hops = [...]trace.Hop{
	spool.WasStored: trace.Stored, spool.WasPassed: trace.Passed, spool.WasMissed: trace.Missed, spool.WasRepeated: trace.Repeat,
	spool.WasRefused: trace.Overloaded, spool.WasIgnored: trace.Ignored, spool.WasReplaced: trace.Replaced,
	spool.WasExpired: trace.Expired, spool.WasDropped: trace.Dropped, spool.WasTakenBack: trace.TakenBack,
}

// observer returns what writes the lines of the spool, which knows nothing of
// them; nil if none are kept.
func (p *Platform) observer() func(spool.Event) {
	r := p.Trace
	if r == nil {
		return nil
	}
	return func(ev spool.Event) {
		r.Record(&trace.Line{
			Hop: hops[ev.Outcome], Time: ev.At, ID: ev.ID, Address: ev.Address, Other: ev.Newer, Until: ev.Until,
		})
	}
}
