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

// Conn is the server's side of one HTTP/2 connection. Its methods may be called
// from any goroutine, before and after it has ended too.
type Conn struct {
	pipe
	cfg Config

	// Owned by the goroutine of Serve.
	in    input
	frame frame
	dec   decoder
	block headerBlock
	text  []byte // room for what is decoded and not wanted

	wake chan struct{} // tells the keeper to write; holds one
	mu   sync.Mutex

	// All that follows is guarded by mu.

	served    bool
	ended     bool  // nothing more is received or answered
	endErr    error // what Serve will return; set with ended
	tellPeer  bool  // the last frames are worth waiting for; set with ended
	ready     bool  // the peer's preface is complete
	started   time.Time
	lastRead  time.Time // when input last arrived
	lastFrame time.Time // when a frame other than the answer to a PING last arrived
	// partlySince is since when a frame or header block is there in part.
	partlySince time.Time
	alarm       alarm     // wakes the keeper
	pingSent    time.Time // of the unanswered PING that asks whether the peer is there; zero if none
	budgets     budgets
	peerGone    bool       // the peer sent GOAWAY
	departure   *departure // GoAway was called; nil if not
	streams     streamTable[stream]
	free        *stream // streams that are not in use, through next
	trimmed     bool    // free and the room of streams and closed have been given up
	receiving   streamList
	blocked     streamList
	closed      closedStreams
	maxID       uint32 // the highest stream that the peer opened
	accepted    uint32 // the highest stream that was not refused
	working     int    // requests in the handler's hands

	// Settings, see settings.go.
	ackedLimit  uint32
	sentLimit   uint32
	wantedLimit uint32
	unacked     []sentSettings

	// Windows, see flow.go.
	recvWindow        int64
	recvSpent         int64
	sendWindow        int64
	peerInitialWindow int64
	blockedBytes      int

	// Output, see send.go.
	enc     encoder
	out     []byte    // frames to be written; nil if there are none
	writing bool      // a goroutine is writing, and will write out too
	writeBy time.Time // the deadline of that
	written *sync.Cond
	severed bool // writing has failed
	parked  bool // the read loop waits for input
}

// NewConn returns a connection over nc, whose TLS handshake, if there is one, is
// done. Nothing is read or written before Serve is called.
//
// If nc has a method CloseWrite() error, as [*crypto/tls.Conn] has, it is
// called before the connection is closed, so that the peer gets all that was
// written.
func NewConn(nc net.Conn, cfg Config) *Conn {
	now := time.Now()
	cfg = cfg.withDefaults()
	c := &Conn{
		pipe:              newPipe(nc, cfg.Logger),
		cfg:               cfg,
		wake:              make(chan struct{}, 1),
		started:           now,
		lastRead:          now,
		lastFrame:         now,
		budgets:           newBudgets(),
		trimmed:           true,
		ackedLimit:        maxStreamsBeforeAck,
		recvWindow:        initialWindowBytes,
		sendWindow:        initialWindowBytes,
		peerInitialWindow: initialWindowBytes,
	}
	c.written = sync.NewCond(&c.mu)
	c.dec = newDecoder(c.cfg.Remember)
	c.enc = newEncoder(c.cfg.AnswerFields)
	c.appendSettings(c.cfg.MaxConcurrentStreams)
	c.out = appendWindowUpdate(c.out, 0, connWindowBytes-initialWindowBytes)
	c.recvWindow = connWindowBytes
	return c
}

// Serve serves the connection until it ends, closes nc, and returns when all
// that it started has ended. Requests may still be in the handler's hands then;
// answering them has no effect.
//
// It returns nil if the peer closed the connection, or if GoAway or the idle
// timeout ended it; the cause of ctx if ctx was cancelled, which ends the
// connection at once (to end it in good order, call GoAway, and cancel ctx
// only if Serve takes too long to return); a *ConnError if this side ended it
// because of what the peer did or failed to do; another error if reading or
// writing failed.
func (c *Conn) Serve(ctx context.Context) error {
	c.mu.Lock()
	switch {
	case c.served:
		c.mu.Unlock()
		return ErrServed
	case c.cfg.Handler == nil:
		c.served = true
		c.mu.Unlock()
		return errors.Join(ErrNoHandler, c.nc.Close())
	}
	c.served = true
	c.started = time.Now()
	c.lastRead, c.lastFrame = c.started, c.started
	c.alarm.start(c.started)
	c.mu.Unlock()

	var keeper sync.WaitGroup
	done := make(chan struct{})
	keeper.Go(func() { c.keep(done) })
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cancelled)
		c.cancel(context.Cause(ctx))
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

// cancel ends the connection because the context of Serve was cancelled.
func (c *Conn) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.out = appendGoAway(c.out, c.accepted, http2.ErrCodeNo, nil)
	c.end(cause, true)
}

// end ends the connection: the read loop stops, what is in the output buffer
// is written, and Serve returns err. tellPeer says whether the peer is thought
// to read what was written last. c.mu is held.
func (c *Conn) end(err error, tellPeer bool) {
	if c.ended {
		return
	}
	c.ended, c.endErr, c.tellPeer = true, err, tellPeer
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

// endWith tells the peer with GOAWAY why the connection ends, and ends it.
// c.mu is held.
func (c *Conn) endWith(err *ConnError) {
	if c.ended {
		return
	}
	c.out = appendGoAway(c.out, c.accepted, err.Code, []byte(err.Reason))
	c.end(err, true)
}

// finish ends the connection if it has not been ended, after the read loop
// returned err. It writes the last frames, waits for the peer to read them, and
// closes. It returns what Serve returns.
func (c *Conn) finish(err error) error {
	c.mu.Lock()
	var ce *ConnError
	switch {
	case errors.As(err, &ce):
		c.endWith(ce)
	case errors.Is(err, io.EOF):
		c.end(nil, false)
	default:
		c.end(fmt.Errorf("reading: %w", err), false)
	}
	for c.writing {
		c.written.Wait()
	}
	c.drain()
	for _, s := range c.streams.slots {
		if s.at != nil && s.at.req != nil {
			s.at.req.release()
		}
	}
	c.streams = streamTable[stream]{}
	c.receiving, c.blocked, c.free = streamList{}, streamList{}, nil
	if c.block.req != nil {
		c.block.req.release()
	}
	// Requests in the handler's hands keep c, but need nothing of this.
	c.block, c.dec, c.text, c.closed = headerBlock{}, decoder{}, nil, closedStreams{}
	c.blockedBytes = 0
	tellPeer, severed, endErr := c.tellPeer, c.severed, c.endErr
	c.mu.Unlock()

	if tellPeer {
		tellPeer = c.linger()
	}
	if severed {
		// TLS would wait for a peer that does not read, to say that this is the end.
		c.sever()
	}
	if err := c.nc.Close(); err != nil && endErr == nil && tellPeer {
		endErr = fmt.Errorf("closing: %w", err)
	}
	return endErr
}
