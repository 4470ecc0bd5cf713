package courier_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/wire"
)

// What a test over TCP waits for, it waits for long: other work may be done on
// the machine.
const longPatience = 30 * time.Second

// tcpDevice is a device on a real socket that reads when it is asked to.
type tcpDevice struct {
	*rawDevice
	raw net.Conn // beneath TLS
	buf []byte
}

// dialDevice connects as far as TLS goes.
func (s *service) dialDevice(h hello) *tcpDevice {
	s.t.Helper()
	conn, err := s.dialTLS(h)
	must(s.t, err)
	must(s.t, conn.SetDeadline(time.Now().Add(longPatience)))
	return &tcpDevice{rawDevice: &rawDevice{t: s.t, conn: conn}, raw: conn.NetConn()}
}

// frame reads the next frame; it reports false at the end of the connection.
func (d *tcpDevice) frame() (wire.Frame, bool) {
	d.t.Helper()
	chunk := make([]byte, 4096)
	for {
		f, n, err := wire.NextFrame(d.buf, wire.MaxPayloadBytes)
		if err == nil {
			d.buf = d.buf[n:]
			return f, true
		}
		n, err = d.conn.Read(chunk)
		d.buf = append(d.buf, chunk[:n]...)
		if n == 0 && err != nil {
			if os.IsTimeout(err) {
				d.t.Fatal("nothing came, and the connection has not ended")
			}
			return wire.Frame{}, false
		}
	}
}

// expect returns the items of the next frame, which is this command.
func (d *tcpDevice) expect(c wire.Command) map[uint8][]byte {
	d.t.Helper()
	f, ok := d.frame()
	if !ok {
		d.t.Fatalf("the connection has ended, want %v", c)
	}
	if f.Command != c {
		d.t.Fatalf("got %v, want %v", f.Command, c)
	}
	return parseItems(d.t, f)
}

// expectEnd reads until the connection ends.
func (d *tcpDevice) expectEnd() {
	d.t.Helper()
	for {
		if _, ok := d.frame(); !ok {
			return
		}
	}
}

// enter logs in, and takes all of a topic.
func (d *tcpDevice) enter(id identity) {
	d.t.Helper()
	d.send(id.connect(d.t, time.Now(), ""))
	ack := d.expect(wire.CommandConnectAck)
	if status := ack[1]; len(status) != 1 || status[0] != 0 {
		d.t.Fatalf("ConnectAck has status %x, want 00", status)
	}
	d.base = apns.BaseToken(ack[3])
	d.filter(alertTopic)
	d.expect(wire.CommandNoStorage)
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(longPatience); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %v", what, longPatience)
		}
		<-time.After(time.Millisecond)
	}
}

func (s *service) attached(want int) {
	s.t.Helper()
	defer func() {
		if got := s.spool.Stats().Attached; s.t.Failed() && got != want {
			s.t.Logf("%d devices are attached", got)
		}
	}()
	eventually(s.t, fmt.Sprintf("%d devices attached", want), func() bool { return s.spool.Stats().Attached == want })
}

// TestTCP is a session on a real socket.
func TestTCP(t *testing.T) {
	overTCP(t, func(t *testing.T, on transport) {
		s, stop := assemble(t, parts{tcp: on})
		for _, tt := range []struct {
			name  string
			hello hello
			older bool
		}{
			{"v3", hello{}, false},
			{"v2", hello{protocols: []string{wire.ALPNSecurityV2}}, true},
			{"no ALPN, TLS 1.2", hello{protocols: []string{}, maxVersion: tls.VersionTLS12}, true},
		} {
			id := s.newIdentity()
			if tt.older {
				tt.hello.identity = id.tls()
			}
			d := s.dialDevice(tt.hello)
			if tt.older {
				d.send(frame(wire.CommandConnect, item(2, []byte{1}), item(5, u32(0x41))))
				d.base = apns.BaseToken(d.expect(wire.CommandConnectAck)[3])
				d.filter(alertTopic)
				d.expect(wire.CommandNoStorage)
			} else {
				d.enter(id)
			}
			for i := range 50 {
				n := alert(fmt.Sprint(i))
				s.offer(id.id, n)
				got := d.expect(wire.CommandNotification)
				if string(got[3]) != string(n.Payload) {
					t.Fatalf("%s: got %s, want %s", tt.name, got[3], n.Payload)
				}
				d.send(frame(wire.CommandAck, item(8, []byte{0}), item(4, got[4])))
			}
			eventually(t, "all acknowledged", func() bool { return s.spool.Stats().Notifications == 0 })
			// A goodbye ends the connection, with one of TLS.
			d.send(frame(wire.CommandConnect, item(1, []byte(d.base)), item(2, []byte{2})))
			if f, ok := d.frame(); ok {
				t.Errorf("%s: got %v after the goodbye", tt.name, f.Command)
			}
			s.attached(0)
		}
		stop()
	})
}

// TestTCPAttachesElsewhere checks that the last connection wins.
func TestTCPAttachesElsewhere(t *testing.T) {
	overTCP(t, func(t *testing.T, on transport) {
		s, _ := assemble(t, parts{tcp: on})
		id := s.newIdentity()
		first := s.dialDevice(hello{})
		first.enter(id)
		second := s.dialDevice(hello{})
		second.enter(id)
		first.expectEnd()
		s.offer(id.id, alert("hello"))
		second.expect(wire.CommandNotification)
	})
}

// TestTCPPieces sends what devices may: one byte at a time, many frames in a
// record, and records in pieces.
func TestTCPPieces(t *testing.T) {
	overTCP(t, func(t *testing.T, on transport) {
		s, _ := assemble(t, parts{tcp: on})
		keepAlive := frame(wire.CommandKeepAlive)
		t.Run("a byte at a time", func(t *testing.T) {
			d := s.dialDevice(hello{})
			defer d.close()
			for _, b := range s.newIdentity().connect(t, time.Now(), "") {
				d.send([]byte{b})
			}
			d.expect(wire.CommandConnectAck)
			for _, b := range strings.Repeat(string(keepAlive), 100) {
				d.send([]byte{byte(b)})
			}
			for range 100 {
				d.expect(wire.CommandKeepAliveResponse)
			}
		})
		t.Run("many frames in a record", func(t *testing.T) {
			d := s.dialDevice(hello{})
			defer d.close()
			d.enter(s.newIdentity())
			const frames = 20_000
			var sending sync.WaitGroup
			sending.Go(func() { d.send([]byte(strings.Repeat(string(keepAlive), frames))) })
			for range frames {
				d.expect(wire.CommandKeepAliveResponse)
			}
			sending.Wait()
		})
		t.Run("records in pieces", func(t *testing.T) {
			near, far := net.Pipe() // what TLS writes is cut up on the way
			raw, err := s.dial(t.Context(), "tcp", s.address)
			must(t, err)
			var moving sync.WaitGroup
			moving.Go(func() {
				defer near.Close()
				_, _ = io.Copy(far, raw)
			})
			moving.Go(func() {
				var b [7]byte
				for {
					n, err := far.Read(b[:])
					if _, werr := raw.Write(b[:n]); err != nil || werr != nil {
						return
					}
				}
			})
			conn := tls.Client(near, &tls.Config{RootCAs: s.roots, ServerName: courier.SandboxServerName, NextProtos: []string{wire.ALPNSecurityV3}})
			must(t, conn.SetDeadline(time.Now().Add(longPatience)))
			d := &tcpDevice{rawDevice: &rawDevice{t: t, conn: conn}}
			d.enter(s.newIdentity())
			for range 50 {
				d.send(keepAlive, keepAlive)
				d.expect(wire.CommandKeepAliveResponse)
				d.expect(wire.CommandKeepAliveResponse)
			}
			_ = raw.Close()
			_ = far.Close()
			moving.Wait()
		})
		s.attached(0)
	})
}

// TestTCPSlowReader checks that a device that reads slowly gets all.
func TestTCPSlowReader(t *testing.T) {
	overTCP(t, func(t *testing.T, on transport) {
		s, _ := assemble(t, parts{tcp: on})
		slow := s.dialDevice(hello{})
		slow.enter(s.newIdentity())
		const answers = 4000
		var sending sync.WaitGroup
		sending.Go(func() {
			for range answers / 100 {
				slow.send([]byte(strings.Repeat(string(bigFlush()), 100)))
			}
		})
		for i := range answers {
			if i%500 == 0 {
				<-time.After(10 * time.Millisecond)
			}
			slow.expect(wire.CommandFlushResponse)
		}
		sending.Wait()
	})
}

// bigFlush returns a Flush that asks for a large answer.
func bigFlush() []byte { return frame(wire.CommandFlush, item(1, u16(1024))) }

// TestTCPNotReading checks that a device that does not read is let go, and keeps
// nobody waiting.
func TestTCPNotReading(t *testing.T) {
	overTCP(t, func(t *testing.T, on transport) {
		s, stop := assemble(t, parts{tcp: on, change: func(c *courier.Config) { c.WriteTimeout = time.Second }})
		var sending sync.WaitGroup
		// Several, so that each loop has some.
		for range 4 {
			deaf := s.dialDevice(hello{})
			if c, ok := deaf.raw.(*net.TCPConn); ok {
				must(t, c.SetReadBuffer(4<<10)) // so that it is full soon
			}
			deaf.enter(s.newIdentity())
			sending.Go(func() {
				for {
					if _, err := deaf.conn.Write([]byte(strings.Repeat(string(bigFlush()), 100))); err != nil {
						return
					}
				}
			})
		}
		d := s.dialDevice(hello{})
		id := s.newIdentity()
		d.enter(id)
		for i := range 50 {
			s.offer(id.id, alert(fmt.Sprint(i)))
			got := d.expect(wire.CommandNotification)
			d.send(frame(wire.CommandAck, item(8, []byte{0}), item(4, got[4])))
		}
		s.attached(1)
		sending.Wait()
		stop()
	})
}

// TestTCPStopUnderLoad stops a courier with all kinds of connections. That its
// goroutines have ended, Serve tells by returning.
func TestTCPStopUnderLoad(t *testing.T) {
	overTCP(t, func(t *testing.T, on transport) {
		s, stop := assemble(t, parts{tcp: on})
		var devices sync.WaitGroup
		for range 10 {
			id := s.newIdentity()
			d := s.dialDevice(hello{})
			d.enter(id)
			devices.Go(func() {
				for {
					f, ok := d.frame()
					if !ok {
						return
					}
					items := parseItems(t, f)
					_, _ = d.conn.Write(frame(wire.CommandAck, item(8, []byte{0}), item(4, items[4])))
				}
			})
			devices.Go(func() { // it comes in again and again
				for {
					conn, err := dialTCP(t.Context(), "tcp", s.address)
					if err != nil {
						return
					}
					_ = conn.SetDeadline(time.Now().Add(longPatience))
					_, err = io.Copy(io.Discard, io.LimitReader(conn, 1)) // until it is closed
					_ = conn.Close()
					if err != nil {
						return
					}
				}
			})
			for i := range 20 {
				s.offer(id.id, alert(fmt.Sprint(i)))
			}
		}
		stop()
		devices.Wait()
		if n := s.spool.Stats().Attached; n != 0 {
			t.Errorf("%d devices are attached, want 0", n)
		}
	})
}
