package scripted

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// conn is a connection. One goroutine reads, one writes and one watches the clock;
// what they share is guarded by the lock of the gateway.
type conn struct {
	g      *Gateway
	number int
	nc     *pacedConn
	done   chan struct{} // closed at the end
	rouse  chan struct{} // for the clock: there is something earlier
	wake   chan struct{} // for the writer: there is something to write
	in     io.Reader     // set before there is more than one goroutine

	// All below is guarded by the lock of the gateway.

	script  Script
	steps   []Step // those that have not happened
	opened  time.Time
	open    bool // the handshake is done
	over    bool // done is closed
	seq     uint64
	dues    dues
	streams map[uint32]*stream
	held    []*stream // whose answer waits for further pushes

	begun, pushes, accepted int

	// What is written.

	out        bytes.Buffer
	framer     *http2.Framer
	encoder    *hpack.Encoder
	block      bytes.Buffer // what the encoder writes to
	ready      bool         // the first SETTINGS went out
	vanished   bool         // nothing is written any more
	stopping   bool         // out is the last that is written
	stopAs     Fault        // how it ends then
	sendWindow int          // of the connection
	peerWindow int          // of a new stream, as the peer says
	peerFrame  int          // the largest frame that the peer takes
	pingNumber uint64

	// What is read.

	unacked    []settings // sent and not yet acknowledged
	limit      int        // of streams, as sent last
	acked      settings   // as acknowledged last
	overran    bool       // there were more streams than acked, since it became fewer
	recvWindow int        // of the connection
	owed       int        // of recvWindow, to be granted again
	highest    uint32     // stream begun
	answered   uint32     // highest stream that was answered

	// The end.

	leaving bool    // a GOAWAY was sent
	second  *GoAway // the second GOAWAY, while it is due
	left    bool    // a GOAWAY with the last stream was sent
	last    uint32  // what it said
	gone    bool    // the peer has read a GOAWAY for sure
}

// stream is a push in progress.
type stream struct {
	id            uint32
	push          *Push
	reply         Reply
	ended         bool // the peer's side
	contentLength int  // -1: none given
	recvWindow    int
	sendWindow    int
	behind        int // pushes that the answer still waits for

	// The rest of an answer for which there was no window.

	body     [][]byte
	trailers []hpack.HeaderField
}

// unlimited is the number of streams before there is any SETTINGS (RFC 9113 section
// 6.5.2).
const unlimited = math.MaxInt32

// maxOutBytes bounds what waits for a client that does not read.
const maxOutBytes = 64 << 20

// lingering is how long a connection is still read when it was ended, so that what
// the client sends meanwhile does not destroy what it has not read.
const lingering = 2 * time.Second

// maxFrameBytes is the largest frame that is taken, as is the default (RFC 9113
// section 6.5.2).
const maxFrameBytes = 16384

// maxHeaderListBytes bounds the header fields of a push.
const maxHeaderListBytes = 64 << 10

func newConn(g *Gateway, nc net.Conn, number int) *conn {
	c := &conn{
		g: g, number: number, nc: newPacedConn(nc, Pace{}),
		done: make(chan struct{}), rouse: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		streams:    make(map[uint32]*stream),
		sendWindow: defaultWindow, peerWindow: defaultWindow, peerFrame: maxFrameBytes,
		limit: unlimited, acked: settings{unlimited, defaultWindow}, recvWindow: defaultWindow,
	}
	c.encoder = hpack.NewEncoder(&c.block)
	return c
}

// serve is the life of the connection.
func (c *conn) serve() {
	var others sync.WaitGroup
	c.g.mu.Lock()
	decide := c.g.script
	c.g.mu.Unlock()
	script := decide(c.number)
	if nc := c.shake(script); nc != nil {
		c.begin(script, nc)
		written := make(chan struct{})
		others.Go(func() { defer close(written); c.writeAll(nc) })
		others.Go(c.watch)
		c.readAll()
		c.g.mu.Lock()
		c.stop(Close) // what is due to be written still is
		c.after(lingering, c.end)
		c.g.mu.Unlock()
		select {
		case <-written:
		case <-c.done:
		}
	}
	c.g.mu.Lock()
	c.end()
	c.g.mu.Unlock()
	others.Wait()

	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	for _, st := range c.streams {
		if st.push.Fate == Arriving || st.push.Fate == Waiting {
			c.g.record.fate(st.push, Lost)
		}
	}
	delete(c.g.conns, c)
	c.g.record.counts.Closed++
	c.g.change()
}

// end ends the connection at once. The caller holds the lock.
func (c *conn) end() {
	if !c.over {
		c.over = true
		close(c.done)
		c.nc.Close()
	}
}

// shake does the handshake. It returns nil where there is to be no HTTP/2.
func (c *conn) shake(s Script) net.Conn {
	c.nc.set(pacing{Pace: s.Read})
	switch {
	case s.Refuse:
		return nil
	case c.g.config.Plain:
		return c.nc
	}
	switch s.Handshake {
	case HandshakeNever:
		<-c.done
		return nil
	case HandshakeAlert:
		c.alert()
		return nil
	case HandshakeDone, HandshakeRefused:
	}
	nc := tls.Server(c.nc, c.g.tls(s.Handshake))
	if err := nc.HandshakeContext(context.Background()); err != nil {
		c.linger()
		return nil
	}
	return nc
}

// badCertificateAlert is the fatal alert bad_certificate, as a TLS record (RFC 8446
// sections 5.1 and 6.2).
var badCertificateAlert = []byte{21, 3, 3, 0, 2, 2, 42}

// alert answers what the client says first with an alert.
func (c *conn) alert() {
	var hello [1024]byte
	if _, err := c.nc.Read(hello[:]); err != nil {
		return
	}
	if _, err := c.nc.Write(badCertificateAlert); err == nil {
		c.linger()
	}
}

// linger ends what is written, and reads until the client has closed.
func (c *conn) linger() {
	err := c.nc.closeWrite()
	err = errors.Join(err, c.nc.SetReadDeadline(time.Now().Add(lingering)))
	if err == nil {
		io.Copy(io.Discard, c.nc) //nolint:errcheck // what it has to say interests nobody any more
	}
}

// begin does what comes behind the handshake.
func (c *conn) begin(s Script, nc net.Conn) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	c.script, c.opened, c.open = s, time.Now(), true
	c.in = bufio.NewReader(nc)
	c.framer = http2.NewFramer(&c.out, c.in)
	c.framer.AllowIllegalWrites = true
	c.framer.SetMaxReadFrameSize(maxFrameBytes)
	c.framer.MaxHeaderListSize = maxHeaderListBytes
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	switch {
	case s.NoSettings:
	case s.SettingsDelay > 0:
		c.after(s.SettingsDelay, c.firstSettings)
	default:
		c.firstSettings()
	}
	c.steps = append(c.steps, s.Steps...)
	for _, step := range c.steps {
		if step.After > 0 {
			c.after(step.After, c.step)
		}
	}
	c.step()
}

// step does those steps of the script whose time has come.
func (c *conn) step() {
	passed := time.Since(c.opened)
	for i := 0; i < len(c.steps); {
		s := c.steps[i]
		if c.begun < s.Begun || c.pushes < s.Pushes || c.accepted < s.Accepted || passed < s.After {
			i++
			continue
		}
		c.steps = append(c.steps[:i:i], c.steps[i+1:]...)
		if s.Do != nil {
			s.Do.do(c)
			i = 0 // it may have been what others waited for
		}
	}
}

// due is something that happens at a time.
type due struct {
	at  time.Time
	seq uint64 // the order of those at the same time
	do  func()
}

// dues is a heap of them, the next first.
type dues []due

func (d dues) Len() int      { return len(d) }
func (d dues) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d dues) Less(i, j int) bool {
	if d[i].at.Equal(d[j].at) {
		return d[i].seq < d[j].seq
	}
	return d[i].at.Before(d[j].at)
}
func (d *dues) Push(x any) { *d = append(*d, x.(due)) } //nolint:errcheck // the heap holds nothing else
func (d *dues) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	(*d)[last] = due{}
	*d = (*d)[:last]
	return x
}

// after has something done later, with the lock held, unless the connection is over
// by then. The caller holds the lock.
func (c *conn) after(d time.Duration, do func()) {
	c.seq++
	heap.Push(&c.dues, due{time.Now().Add(d), c.seq, do})
	signal(c.rouse)
}

func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default: // there is one already
	}
}

// watch does what is due, until the end.
func (c *conn) watch() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		c.g.mu.Lock()
		for !c.over && len(c.dues) > 0 && !c.dues[0].at.After(time.Now()) {
			heap.Pop(&c.dues).(due).do() //nolint:errcheck // the heap holds nothing else
		}
		var tick <-chan time.Time
		if len(c.dues) > 0 {
			timer.Reset(time.Until(c.dues[0].at))
			tick = timer.C
		}
		c.g.change()
		c.g.mu.Unlock()
		select {
		case <-tick:
		case <-c.rouse:
		case <-c.done:
			return
		}
	}
}
