package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// ClientConn is the client's side of one HTTP/2 connection. Its methods may be
// called from any goroutine, and from inside ClientConfig.Finished and Changed.
type ClientConn struct {
	pipe
	cfg ClientConfig

	// Owned by the goroutine of Run.
	in       input
	frame    frame
	dec      decoder
	block    answerBlock
	finished []*Call // for ClientConfig.Finished

	wake    chan struct{} // tells the keeper to write; holds one
	telling sync.Mutex    // held while ClientConfig.Finished or Changed runs
	mu      sync.Mutex

	// All that follows is guarded by mu.

	ran      bool
	ended    bool   // nothing more is received or sent but the last frames
	endErr   error  // what Run will return; set with ended
	tellPeer bool   // the last frames are worth waiting for; set with ended
	handed   uint64 // bytes that were handed to the network, but for the last frames; set with ended
	settled  bool   // the peer has stated its settings
	going    bool   // no more calls are taken
	goAway   *GoAwayError
	leaveAt  time.Time // when the calls in progress have had their time; zero if not going
	changed  bool      // ClientConfig.Changed is to be called
	// Start returned ErrFull for want of room in the output, or of window.
	lackedRoom, lackedWindow bool

	calls  streamTable[Call]
	nextID uint32 // of the next call

	// Time, see client_clock.go.
	started     time.Time
	lastRead    time.Time // when input last arrived
	busySince   time.Time // when the oldest of the calls in progress without a break began
	idleSince   time.Time // when there last was a call in progress
	partlySince time.Time // since when a frame or header block is there in part; zero if none
	pingSent    time.Time // of the unanswered PING; zero if none
	silent      bool      // nothing has arrived for ClientConfig.ProbeAfter
	alarm       alarm     // wakes the keeper
	budgets     budgets

	// Settings of the peer, see client_settings.go.
	limit              int // of calls in progress
	peerInitialWindow  int64
	peerHeaderListSize uint32

	// Windows, see client_flow.go.
	recvWindow int64
	recvSpent  int64
	sendWindow int64
	reserved   int64 // of sendWindow, for bodies that wait for the window of their stream
	waiting    callQueue

	// Output, see client_send.go.
	enc      indexEncoder
	out      output
	awake    bool // the keeper has been told to write
	parked   bool // the read loop waits for input
	writing  bool // a goroutine is writing, and will write out too
	writeBy  time.Time
	written  *sync.Cond
	severed  bool  // writing has failed
	writeErr error // why
}

// ClientState is what a scheduler of calls wants to know of a connection.
type ClientState struct {
	// Settled says that the peer has stated its settings. Before that Limit is
	// ClientConfig.FirstStreams.
	Settled bool
	// Limit is how many calls may be in progress at a time. It may be zero, and
	// less than Active after the peer lowered it.
	Limit int
	// Active is how many calls are in progress.
	Active int
	// Going says that no more calls are taken: GoAway was called, the peer sent
	// GOAWAY, the connection has ended or is idle for too long.
	Going bool
	// GoAway is what the peer's GOAWAY said, or nil.
	GoAway *GoAwayError
}

// NewClientConn returns a connection over nc, whose TLS handshake, if there is
// one, is done. Nothing is read or written before Run is called. TLS had better be
// over a [Socket], as it had on the server's side.
func NewClientConn(nc net.Conn, cfg ClientConfig) *ClientConn {
	now := time.Now()
	cfg = cfg.withDefaults()
	c := &ClientConn{
		pipe:               newPipe(nc, cfg.Logger),
		cfg:                cfg,
		dec:                newDecoder(nil),
		wake:               make(chan struct{}, 1),
		nextID:             1,
		started:            now,
		lastRead:           now,
		idleSince:          now,
		budgets:            newBudgets(),
		limit:              min(cfg.FirstStreams, cfg.MaxStreams),
		peerInitialWindow:  initialWindowBytes,
		peerHeaderListSize: maxWindowBytes,
		recvWindow:         connWindowBytes,
		sendWindow:         initialWindowBytes,
		enc:                newIndexEncoder(cfg.Indexed),
	}
	c.written = sync.NewCond(&c.mu)
	c.out.room(chunkBytes)
	c.out.last = append(c.out.last, clientPreface...)
	c.out.last = appendSettings(c.out.last,
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: cfg.MaxHeaderListBytes},
	)
	c.out.last = appendWindowUpdate(c.out.last, 0, connWindowBytes-initialWindowBytes)
	return c
}

// Run runs the connection until it ends, closes nc, and returns when all that it
// started has ended. Every call that was started is finished by then.
//
// It returns nil if GoAway or the idle timeout ended the connection; a
// *GoAwayError if the peer did, with GOAWAY; io.EOF if the peer closed it without
// one; the cause of ctx if ctx was cancelled, which ends the connection at once; a
// *ConnError if this side ended it because of what the peer did or failed to do;
// another error if reading or writing failed.
func (c *ClientConn) Run(ctx context.Context) error {
	c.mu.Lock()
	switch {
	case c.ran:
		c.mu.Unlock()
		return ErrServed
	case c.cfg.Finished == nil:
		c.ran, c.going = true, true
		c.mu.Unlock()
		return errors.Join(ErrNoFinished, c.nc.Close())
	}
	c.ran = true
	c.started = time.Now()
	c.lastRead, c.idleSince = c.started, c.started
	if c.calls.count > 0 {
		c.busySince = c.started
	}
	c.alarm.start(c.started)
	c.mu.Unlock()

	var keeper sync.WaitGroup
	done := make(chan struct{})
	keeper.Go(func() { c.keep(done) })
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cancelled)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.end(context.Cause(ctx))
	})

	err := c.finish(c.read())

	if !stop() {
		<-cancelled
	}
	close(done)
	keeper.Wait()
	c.alarm.timer.Stop()
	return err
}

// State returns the state of the connection.
func (c *ClientConn) State() ClientState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ClientState{
		Settled: c.settled,
		Limit:   c.limit,
		Active:  c.calls.count,
		Going:   c.going,
		GoAway:  c.goAway,
	}
}

// end ends the connection: the read loop stops, what has not been handed to the
// network is thrown away but for a last GOAWAY frame, and Run finishes the calls in
// progress and returns err. c.mu is held.
func (c *ClientConn) end(err error) { c.endAs(err, http2.ErrCodeNo, "", false) }

// endWith tells the peer with GOAWAY why the connection ends, and ends it.
// c.mu is held.
func (c *ClientConn) endWith(err *ConnError) { c.endAs(err, err.Code, err.Reason, true) }

// endAs does what end and endWith do. tellPeer says whether it is worth waiting
// for the peer to read the last frames. c.mu is held.
func (c *ClientConn) endAs(err error, code http2.ErrCode, reason string, tellPeer bool) {
	if c.ended {
		return
	}
	c.ended, c.endErr, c.tellPeer = true, err, tellPeer
	c.leave()
	c.handed = c.out.taken
	c.out.drop()
	if c.out.taken > 0 && !c.severed { // what comes without the preface says nothing
		c.out.room(frameHeaderBytes + 8 + len(reason))
		c.out.last = appendGoAway(c.out.last, 0, code, []byte(reason))
	}
	c.written.Broadcast()
	// A write that is blocked already has no more time than the last one will have.
	c.boundWrite(time.Now().Add(lingerTimeout))
	// Interrupt the read loop. Where that cannot be done there is only the hard
	// way; the read loop then finds the connection closed.
	if err := c.nc.SetReadDeadline(time.Unix(1, 0)); err != nil {
		c.tellPeer = false
		if err := c.nc.Close(); err != nil && c.endErr == nil {
			c.endErr = fmt.Errorf("closing: %w", err)
		}
	}
}

// leave has no more calls taken. c.mu is held.
func (c *ClientConn) leave() {
	if c.going {
		return
	}
	c.going, c.changed = true, true
	c.leaveAt = time.Now().Add(c.cfg.DrainTimeout)
	c.arm(c.leaveAt)
	c.boundWrite(c.leaveAt)
}

// GoAway has no more calls taken, and ends the connection in good order when
// those in progress are finished, at the latest after ClientConfig.DrainTimeout. A
// call after the connection has ended has no effect.
func (c *ClientConn) GoAway() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave()
	c.endIfDrained()
}

// endIfDrained ends the connection when no call is left and none will come.
// c.mu is held.
func (c *ClientConn) endIfDrained() {
	if c.going && c.calls.count == 0 && !c.ended {
		c.end(c.goAwayErr())
	}
}

// goAwayErr returns what the peer's GOAWAY said as an error, or nil if there was
// none. c.mu is held.
func (c *ClientConn) goAwayErr() error {
	if c.goAway == nil {
		return nil
	}
	return c.goAway
}

// finish ends the connection if it has not been ended, after the read loop
// returned err. It finishes the calls in progress, writes the last frames, and
// closes. It returns what Run returns.
func (c *ClientConn) finish(err error) error {
	c.mu.Lock()
	var ce *ConnError
	switch {
	case errors.As(err, &ce):
		c.endWith(ce)
	case c.goAway != nil:
		c.end(c.goAway)
	case c.writeErr != nil:
		c.end(c.writeErr)
	case errors.Is(err, io.EOF):
		c.end(io.EOF)
	default:
		c.end(fmt.Errorf("reading: %w", err))
	}
	c.failAll()
	c.mu.Unlock()
	c.report()

	c.mu.Lock()
	for c.writing {
		c.written.Wait()
	}
	c.drain()
	c.out.drop()
	c.calls, c.waiting = streamTable[Call]{}, callQueue{}
	c.block, c.dec = answerBlock{}, decoder{}
	tellPeer, severed, endErr := c.tellPeer, c.severed, c.endErr
	c.mu.Unlock()

	if tellPeer && !severed {
		severed = !c.linger()
	}
	if severed {
		// TLS would wait for a peer that does not read, to say that this is the end.
		c.sever()
	}
	if err := c.nc.Close(); err != nil && endErr == nil && !severed {
		endErr = fmt.Errorf("closing: %w", err)
	}
	return endErr
}

// failAll finishes all calls in progress, because the connection has ended.
// c.mu is held.
func (c *ClientConn) failAll() {
	if c.calls.count == 0 {
		return
	}
	cause := c.endErr
	code := http2.ErrCodeNo
	if c.goAway != nil {
		cause, code = c.goAway, c.goAway.Code
	}
	var ce *ConnError
	switch {
	case cause == nil:
		cause = errDrained
	case errors.As(cause, &ce):
		code = ce.Code
	}
	first := len(c.finished)
	for _, s := range c.calls.slots {
		if call := s.at; call != nil {
			call.spoil(&CallError{Code: code, Unprocessed: call.at >= c.handed, Err: cause})
			call.id, call.pending, call.next = 0, nil, nil
			c.finished = append(c.finished, call)
		}
	}
	sortCalls(c.finished[first:])
	c.calls = streamTable[Call]{}
}

// errDrained ends the calls that were not answered in time after GoAway.
var errDrained = errors.New("no answer within the time to drain the connection")
