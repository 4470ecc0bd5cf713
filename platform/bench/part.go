package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/heraldpush/herald/internal/load"
)

// The parts that are this program again.
const (
	partGateway  = "gateway"
	partNetHTTP  = "net-http"
	partLoad     = "load"
	partPrepare  = "prepare"  // makes the data folder of a service
	partService  = "service"  // gateway, spool and courier over that
	partBareTLS  = "bare-tls" // accepts, and shakes hands
	partCrowd    = "crowd"    // many devices
	partSink     = "sink"     // a gateway that checks nothing
	partSender   = "sender"   // a client that is measured
	partProvider = "provider" // a push server
	partCaller   = "caller"   // calls its API
)

// What a parent orders its child to do. The first order says what to be.
const (
	orderBegin   = "begin"
	orderUsage   = "usage"   // of a server
	orderProfile = "profile" // of a server: begin one
	orderRun     = "run"     // of the load, a sender or a caller
	orderWaiting = "waiting" // of a service: how many notifications wait
	orderCollect = "collect" // of a service: free what is not in use
	orderConnect = "connect" // of a crowd: all devices
	orderHang    = "hang"    // of a crowd: close all connections
	orderTally   = "tally"   // of a crowd: tell what came since the last time
	orderManner  = "manner"  // of a sink: how to answer from now on
	orderCount   = "count"   // of a sink: tell what was answered
)

// order is a line from parent to child.
type order struct {
	Do      string
	Gateway *gatewaySetup `json:",omitempty"`
	NetHTTP *httpSetup    `json:",omitempty"`
	Plan    *load.Plan    `json:",omitempty"`
	Profile string        `json:",omitempty"`
	Prepare *prepareSetup `json:",omitempty"`
	Service *serviceSetup `json:",omitempty"`
	Crowd   *crowdSetup   `json:",omitempty"`
	Connect *connectOrder `json:",omitempty"`
	Sink    *sinkSetup    `json:",omitempty"`
	Manner  *sinkManner   `json:",omitempty"`
	Push    *pushPlan     `json:",omitempty"`

	Provider *providerSetup `json:",omitempty"`
	Caller   *callerSetup   `json:",omitempty"`
	Calls    *callPlan      `json:",omitempty"`
}

// reply is the line that answers an order.
type reply struct {
	Error  string       `json:",omitempty"`
	Target *target      `json:",omitempty"`
	Usage  *usage       `json:",omitempty"`
	Result *load.Result `json:",omitempty"`
	// Waiting is how many notifications a service has stored.
	Waiting   int64      `json:",omitempty"`
	Connected *connected `json:",omitempty"`
	Tally     *tally     `json:",omitempty"`
	// Accepted is how many connections a sink accepted.
	Accepted int64       `json:",omitempty"`
	Push     *pushResult `json:",omitempty"`
	// Answered is how many pushes a sink answered since it began, and Marked how long those
	// took that were marked, since its manner was set.
	Answered int64           `json:",omitempty"`
	Marked   *load.Histogram `json:",omitempty"`
	Provider *providerTarget `json:",omitempty"`
	Calls    *callResult     `json:",omitempty"`
}

// target is what a sender has to know of a server.
type target struct {
	Address    string
	ServerName string
	Roots      []byte // PEM
	Courier    string `json:",omitempty"` // address of a service's
	// The rest is known of the gateway alone, and sent to all.
	Certificate   []byte   `json:",omitempty"` // PEM, with the key
	Authorization string   `json:",omitempty"`
	Topic         string   `json:",omitempty"`
	Tokens        []string `json:",omitempty"` // in hex
	Away          []string `json:",omitempty"` // those of devices that never connect
}

// usage is what a child has used since it began.
type usage struct {
	Allocations, AllocatedBytes uint64
	CPU                         int64 // nanoseconds; 0 if that is not known
}

// part is a child's end of the talk.
type part struct {
	in  *json.Decoder
	out *json.Encoder
}

// RunPart is the part of the bench of the name given: it takes orders from in
// and answers to out, until in ends or ctx does. The peers are clients that
// RunPush knows beside its own.
func RunPart(ctx context.Context, name string, in io.Reader, out io.Writer, peers ...Peer) error {
	p := &part{json.NewDecoder(in), json.NewEncoder(out)}
	first, err := p.next()
	if err != nil {
		return err
	}
	switch {
	case name == partGateway && first.Gateway != nil:
		return p.serveGateway(ctx, *first.Gateway)
	case name == partNetHTTP && first.NetHTTP != nil:
		return p.serveHTTP(ctx, *first.NetHTTP)
	case name == partLoad && first.Plan != nil:
		return p.runLoad(ctx, *first.Plan)
	case name == partPrepare && first.Prepare != nil:
		t, err := prepare(ctx, *first.Prepare)
		return p.answer(reply{Target: &t}, err)
	case name == partService && first.Service != nil:
		return p.runService(ctx, *first.Service)
	case name == partBareTLS && first.NetHTTP != nil:
		return p.serveBareTLS(ctx, *first.NetHTTP)
	case name == partCrowd && first.Crowd != nil:
		return p.runCrowd(ctx, *first.Crowd)
	case name == partSink && first.Sink != nil:
		return p.serveSink(ctx, *first.Sink)
	case name == partSender && first.Push != nil:
		return p.runSender(ctx, *first.Push, append(ownPeers(), peers...))
	case name == partProvider && first.Provider != nil:
		return p.runProvider(ctx, *first.Provider)
	case name == partCaller && first.Caller != nil:
		return p.runCaller(ctx, *first.Caller)
	}
	return fmt.Errorf("no part %q of the bench, or no word of what it is to be", name)
}

// next returns the next order. It is io.EOF if the parent wants no more.
func (p *part) next() (o order, err error) {
	err = p.in.Decode(&o)
	return o, err
}

// answer sends a reply, or the error instead.
func (p *part) answer(r reply, err error) error {
	if err != nil {
		r = reply{Error: err.Error()}
	}
	return p.out.Encode(r)
}

// obey carries out the orders to a part until there are no more: those that
// each understands, and its own.
func (p *part) obey(own map[string]func(*order, *reply) error) (err error) {
	var profile *os.File
	defer func() {
		if profile != nil {
			pprof.StopCPUProfile()
			err = errors.Join(err, profile.Close())
		}
	}()
	for {
		o, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var r reply
		switch o.Do {
		case orderUsage:
			r.Usage = new(usageNow())
		case orderProfile:
			if profile == nil {
				profile, err = startProfile(o.Profile)
			}
		default:
			do, ok := own[o.Do]
			if !ok {
				err = fmt.Errorf("no order %q", o.Do)
				break
			}
			err = do(&o, &r)
		}
		if err := p.answer(r, err); err != nil {
			return err
		}
	}
}

func startProfile(path string) (*os.File, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func usageNow() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{Allocations: m.Mallocs, AllocatedBytes: m.TotalAlloc, CPU: ownCPU().Nanoseconds()}
}

// runLoad connects, and runs when it is told to.
func (p *part) runLoad(ctx context.Context, plan load.Plan) (err error) {
	l, failed := load.Connect(ctx, plan)
	if err := p.answer(reply{}, failed); err != nil {
		return err
	}
	if failed != nil {
		return nil // the parent knows it
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return p.obey(map[string]func(*order, *reply) error{orderRun: func(_ *order, r *reply) error {
		result, err := l.Run(ctx)
		r.Result = &result
		return err
	}})
}
