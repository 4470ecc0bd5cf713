package device_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/wire"
)

// register registers a topic that notes what its delegate hears.
func register(t *testing.T, d *device.Device, topic apns.Topic, types device.NotificationTypes) chan string {
	t.Helper()
	heard := make(chan string, 100)
	err := d.RegisterForRemoteNotifications(topic, types, device.Delegate{
		DidRegister:       func(tok apns.DeviceToken) { heard <- "token " + tok.Hex() },
		DidFailToRegister: func(err error) { heard <- err.Error() },
		DidReceive:        func(n device.Notification) { heard <- fmt.Sprintf("%s %s", n.Topic, n.Payload) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return heard
}

func tokenHeard(topic apns.Topic) string { return "token " + deviceToken(topic.Hash()).Hex() }

func TestActivateConnectRegisterReceive(t *testing.T) {
	for _, protocol := range []string{wire.ALPNHerald, wire.ALPNSecurityV3} {
		t.Run(protocol, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.protocols = []string{protocol}
				w.activation(w.issue)
				d := w.start(w.config())
				heard := register(t, d.Device, demo, device.Alert)
				p := w.accept()
				if diff := cmp.Diff([]apns.TopicHash{demo.Hash()}, p.welcome(1)); diff != "" {
					t.Errorf("filter (-want +got):\n%s", diff)
				}
				if err := d.Connected(t.Context()); err != nil {
					t.Error(err)
				}
				if got, want := <-heard, tokenHeard(demo); got != want {
					t.Errorf("delegate: got %q, want %q", got, want)
				}
				n := wire.Notification{TopicHash: demo.Hash(), MessageID: 1, Timestamp: uint64(time.Now().UnixNano()), Payload: apns.Payload(`{"aps":{"alert":"hi"}}`)}
				if got := p.push(n); got != wire.AckOK {
					t.Errorf("ack: got %v, want OK", got)
				}
				if got, want := <-heard, `com.example.demo {"aps":{"alert":"hi"}}`; got != want {
					t.Errorf("delegate: got %q, want %q", got, want)
				}
				if d.ID() != deviceID || d.BaseToken() != baseToken || d.Certificate().Subject.CommonName != string(deviceID) {
					t.Errorf("device: got %q, %q, %v", d.ID(), d.BaseToken(), d.Certificate().Subject)
				}
				if err := d.Run(t.Context()); !errors.Is(err, device.ErrRunning) {
					t.Errorf("second Run: got %v, want %v", err, device.ErrRunning)
				}

				d.UnregisterForRemoteNotifications(demo)
				if got := p.filter(); len(got) != 0 {
					t.Errorf("filter: got %v, want none", got)
				}
				n.MessageID, n.Timestamp = 2, n.Timestamp+1
				if got := p.push(n); got != wire.AckUnknownTopic {
					t.Errorf("ack: got %v, want UnknownTopic", got)
				}

				// Goodbye.
				d.stop()
				m, err := wire.ParseConnect(p.expect(wire.CommandConnect).Payload)
				if err != nil || m.State != wire.StateOffline || m.BaseToken != baseToken {
					t.Errorf("goodbye: got %+v and %v", m, err)
				}
				p.expectEnd()
				d.stopped()
				if len(heard) > 0 {
					t.Errorf("delegate: got %q, want nothing more", <-heard)
				}
			})
		})
	}
}

func TestActivationRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.activation(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusForbidden)
			_, _ = rw.Write([]byte(`{"title":"Enrolment code refused","status":403,"detail":"used on 1 May\u001b[2J"}`))
		})
		d := w.start(w.config())
		err := <-d.done
		var refused *device.ActivationError
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
			t.Fatalf("Run: got %v, want a refused activation", err)
		}
		if got, want := err.Error(), `device: activation refused: "Enrolment code refused": "used on 1 May\x1b[2J"`; got != want {
			t.Errorf("error: got %q, want %q", got, want)
		}
		if got := d.Connected(t.Context()); !errors.Is(got, err) {
			t.Errorf("Connected: got %v, want %v", got, err)
		}
	})
}

func TestActivationIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = t.TempDir()
		attempts := 0
		first := ""
		w.activation(func(rw http.ResponseWriter, r *http.Request) {
			attempts++
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			if first == "" {
				first = string(body)
			}
			if string(body) != first {
				t.Errorf("attempt %d: got %s, want the same as at first", attempts, body)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			switch attempts {
			case 1:
				rw.WriteHeader(http.StatusServiceUnavailable)
			case 2:
				_, _ = rw.Write([]byte(`{"device_id":"x","certificate":"nonsense"}`))
			case 3:
				http.Redirect(rw, r, "https://elsewhere.test/", http.StatusTemporaryRedirect)
			default:
				w.issue(rw, r)
			}
		})
		d := w.start(w.config())
		w.accept().welcome(0)
		d.stopped()
		if attempts != 4 {
			t.Errorf("attempts: got %d, want 4", attempts)
		}
	})
}

// connected returns a device that has registered the topic and is connected,
// its courier, and what the delegate hears after its device token.
func connected(t *testing.T, w *world, c device.Config) (*running, *peer, chan string) {
	t.Helper()
	w.activation(w.issue)
	d := w.start(c)
	heard := register(t, d.Device, demo, device.Alert)
	p := w.accept()
	p.welcome(1)
	if got, want := <-heard, tokenHeard(demo); got != want {
		t.Fatalf("delegate: got %q, want %q", got, want)
	}
	return d, p, heard
}

func TestRepetitionIsShownOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = t.TempDir()
		d, p, heard := connected(t, w, w.config())
		n := wire.Notification{TopicHash: demo.Hash(), MessageID: 1, Timestamp: 5, Payload: apns.Payload(`{}`)}
		if got := p.push(n); got != wire.AckOK {
			t.Errorf("first: got %v, want OK", got)
		}
		p.close()
		p = w.accept()
		p.welcome(0)
		n.MessageID, n.Storage = 2, wire.Stored|wire.LastStored
		if got := p.push(n); got != wire.AckUnknownTopic {
			t.Errorf("again: got %v, want UnknownTopic", got)
		}
		d.stopped()

		// Another process, which has not registered anew: the topic is still
		// in the filter, the repetition still known, and no code is needed.
		c := w.config()
		c.Activation, c.EnrolmentCode = "", ""
		screen := make(chan device.Presentation, 1)
		c.Screen = func(p device.Presentation) { screen <- p }
		d = w.start(c)
		if d.ID() != deviceID || d.BaseToken() != baseToken {
			t.Errorf("after restart: got %q and %q", d.ID(), d.BaseToken())
		}
		p = w.accept()
		if diff := cmp.Diff([]apns.TopicHash{demo.Hash()}, p.welcome(0)); diff != "" {
			t.Errorf("filter (-want +got):\n%s", diff)
		}
		if got := p.push(n); got != wire.AckUnknownTopic {
			t.Errorf("after restart: got %v, want UnknownTopic", got)
		}
		n.MessageID, n.Timestamp, n.Payload = 3, 6, apns.Payload(`{"aps":{"alert":"new"}}`)
		if got := p.push(n); got != wire.AckOK {
			t.Errorf("new one: got %v, want OK", got)
		}
		if got := <-screen; got.Body != "new" {
			t.Errorf("screen: got %+v", got)
		}
		again := register(t, d.Device, demo, device.Alert)
		got := []string{<-again, <-again}
		slices.Sort(got)
		if want := []string{`com.example.demo {"aps":{"alert":"new"}}`, tokenHeard(demo)}; !slices.Equal(got, want) {
			t.Errorf("delegate: got %q, want %q at once", got, want)
		}
		d.stopped()
		if got := <-heard; len(heard) != 0 {
			t.Errorf("first delegate: got %q and %d more, want one", got, len(heard))
		}
	})
}

func TestReconnectsWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d, p, _ := connected(t, w, w.config())
		// The limit of each pause, in seconds, before chance takes its part.
		for i, limit := range []int{0, 1, 2, 4, 8, 16, 32, 64, 120, 120} {
			lost := time.Now()
			p.close()
			p = w.accept()
			if waited := time.Since(lost); waited > time.Duration(limit)*time.Second {
				t.Errorf("pause %d: got %v, want at most %ds", i, waited, limit)
			}
			p.welcome(0)
		}
		// A minute of good connection makes up for it all.
		time.Sleep(time.Minute)
		lost := time.Now()
		p.close()
		w.accept().welcome(0)
		if waited := time.Since(lost); waited != 0 {
			t.Errorf("pause after a good connection: got %v, want none", waited)
		}
		d.stopped()
	})
}

func TestSilentCourierIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.config()
		c.KeepAlive = 90 * time.Second
		d, p, _ := connected(t, w, c)
		synctest.Wait()
		quiet := time.Now()
		p.expect(wire.CommandKeepAlive)
		if got := time.Since(quiet); got != 90*time.Second {
			t.Errorf("first keepalive: after %v, want 90s", got)
		}
		p.send(wire.KeepAliveResponse{})
		synctest.Wait()
		quiet = time.Now()
		p.expect(wire.CommandKeepAlive)
		p.expectEnd()
		if got := time.Since(quiet); got != 110*time.Second {
			t.Errorf("given up: after %v, want 1m50s", got)
		}
		w.accept().welcome(0)
		d.stopped()
	})
}

func TestClockIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.activation(w.issue)
		d := w.start(w.config())
		p := w.accept()
		if got := p.connect().Nonce.Time(); !got.Equal(time.Now()) {
			t.Errorf("nonce: got %v, want %v", got, time.Now())
		}
		theirs := time.Now().Add(24 * time.Hour)
		p.send(wire.ConnectAck{Status: wire.StatusInvalid, NonceTime: theirs})
		if got := p.connect().Nonce.Time(); !got.Equal(theirs) {
			t.Errorf("nonce: got %v, want %v", got, theirs)
		}
		p.send(wire.ConnectAck{BaseToken: baseToken})
		if err := d.Connected(t.Context()); err != nil {
			t.Error(err)
		}
		d.stopped()
	})
}

func TestIdentityRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.activation(w.issue)
		d := w.start(w.config())
		p := w.accept()
		p.connect()
		p.send(wire.ConnectAck{Status: wire.StatusInvalid})
		if err := <-d.done; !errors.Is(err, device.ErrIdentityRefused) {
			t.Errorf("Run: got %v, want %v", err, device.ErrIdentityRefused)
		}
	})
}

func TestRedirectIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other := w.listen("other.test:5223")
		d, p, _ := connected(t, w, w.config())
		p.send(wire.Redirect{Host: "other.test", Reason: "drain"})
		p.expectEnd()
		p = w.acceptAt(other)
		if got := p.connect().Redirects; got != 1 {
			t.Errorf("redirects: got %d, want 1", got)
		}
		// The other courier is of no use: back to the configured one.
		p.close()
		w.accept().welcome(0)
		d.stopped()
	})
}

func TestRedirectLoopEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.activation(w.issue)
		d := w.start(w.config())
		start := time.Now()
		for i := range 8 * 6 {
			p := w.accept()
			if got, want := int(p.connect().Redirects), i%6; got != want {
				t.Errorf("redirects: got %d, want %d", got, want)
			}
			p.send(wire.ConnectAck{Status: wire.StatusAccepted, RedirectHost: courierAddress})
			p.expectEnd()
		}
		if time.Since(start) == 0 {
			t.Error("redirect loop: never paused")
		}
		d.stopped()
	})
}

func TestHostileFrames(t *testing.T) {
	tests := []struct {
		name  string
		bytes string
	}{
		{"top bit of the length", "\x0a\x80\x00\x00\x00"},
		{"too long", "\x0a\x00\x01\x00\x01"},
		{"item past the end", "\x0a\x00\x00\x00\x03\x01\x00\x20"},
		{"unknown command", "\xff\x00\x00\x00\x00"},
		{"cut off", "\x0a\x00\x00\x00\x09\x01"},
		{"not TLS any more", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				d, p, _ := connected(t, w, w.config())
				var err error
				if tt.bytes == "" {
					_, err = p.conn.NetConn().Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				} else if _, err = p.conn.Write([]byte(tt.bytes)); tt.name == "cut off" {
					p.close()
				}
				if err != nil {
					t.Fatal(err)
				}
				p = w.accept()
				p.welcome(0)
				if got := p.push(wire.Notification{TopicHash: demo.Hash(), MessageID: 1, Payload: apns.Payload(`{}`)}); got != wire.AckOK {
					t.Errorf("ack: got %v, want OK", got)
				}
				d.stopped()
			})
		})
	}
}

func TestNoAnswerToConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.activation(w.issue)
		d := w.start(w.config())
		p := w.accept()
		start := time.Now()
		p.connect()
		p.expectEnd()
		if got := time.Since(start); got != 30*time.Second {
			t.Errorf("given up: after %v, want 30s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		synctest.Wait()
		if err := d.Connected(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer to Connect") {
			t.Errorf("Connected: got %v, want the obstacle", err)
		}
		d.stopped()
	})
}

func TestCourierThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d, p, _ := connected(t, w, w.config())
		go func() { // until the device gives up
			for {
				if _, err := p.conn.Write(wire.Flush{Wanted: wire.MaxFlushBytes}.Append(nil)); err != nil {
					return
				}
			}
		}()
		w.accept().welcome(0)
		d.stopped()
	})
}

func TestSlowDelegateLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.activation(w.issue)
		d := w.start(w.config())
		const all = 400 // more than the queue holds
		got := 0
		err := d.RegisterForRemoteNotifications(demo, 0, device.Delegate{DidReceive: func(n device.Notification) {
			time.Sleep(time.Second)
			if want := fmt.Sprintf(`{"n":%d}`, got); string(n.Payload) != want {
				t.Errorf("notification: got %s, want %s", n.Payload, want)
			}
			got++
		}})
		if err != nil {
			t.Fatal(err)
		}
		p := w.accept()
		p.welcome(1)
		for i := range all {
			n := wire.Notification{TopicHash: demo.Hash(), MessageID: uint32(i), Timestamp: uint64(i + 1), Payload: apns.Payload(fmt.Sprintf(`{"n":%d}`, i))}
			if got := p.push(n); got != wire.AckOK {
				t.Fatalf("ack: got %v, want OK", got)
			}
		}
		d.stopped() // Run waits for the rest
		if got != all {
			t.Errorf("received: got %d, want %d", got, all)
		}
	})
}

func TestDelegateMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.activation(w.issue)
		d := w.start(w.config())
		err := d.RegisterForRemoteNotifications(demo, 0, device.Delegate{DidRegister: func(apns.DeviceToken) {
			d.UnregisterForRemoteNotifications(demo)
			if d.BaseToken() == "" {
				t.Error("base token: got none")
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		p := w.accept()
		p.welcome(1)
		if got := p.filter(); len(got) != 0 {
			t.Errorf("filter: got %v, want none", got)
		}
		d.stopped()
	})
}

func TestFolderThatVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = filepath.Join(t.TempDir(), "device")
		d, _, _ := connected(t, w, w.config())
		if err := os.RemoveAll(w.dir); err != nil {
			t.Fatal(err)
		}
		register(t, d.Device, "com.example.second", 0)
		if err := <-d.done; !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Run: got %v, want %v", err, fs.ErrNotExist)
		}
	})
}

// TestStoppedAtAnyPoint is a device that is stopped at each point of its life: Run
// returns, and leaves nothing behind.
func TestStoppedAtAnyPoint(t *testing.T) {
	for _, point := range []string{"activation", "dial", "greeting", "pause", "session"} {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.activation(func(rw http.ResponseWriter, r *http.Request) {
					if point == "activation" {
						_, _ = io.Copy(io.Discard, r.Body) // only then is the end noticed
						<-r.Context().Done()
						return
					}
					w.issue(rw, r)
				})
				d := w.start(w.config())
				switch point {
				case "greeting":
					w.accept().connect()
				case "pause":
					for range 6 {
						w.accept().close()
					}
				case "session":
					w.accept().welcome(0)
				}
				synctest.Wait()
				before := time.Now()
				d.stopped()
				if took := time.Since(before); took != 0 {
					t.Errorf("Run: took %v to return", took)
				}
			})
		})
	}
}
