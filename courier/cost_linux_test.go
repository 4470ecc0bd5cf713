package courier_test

import (
	"fmt"
	"os"
	"runtime/pprof"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// deliverWindow is how many notifications are on their way in TestDeliveryCost.
const deliverWindow = 2000

// deliver offers notifications to the devices in turn, until they are all
// acknowledged, and returns the processor time that the process took.
func (s *service) deliver(pushes, devices int) time.Duration {
	s.t.Helper()
	if name := os.Getenv("HERALD_CPU_PROFILE"); name != "" {
		f, err := os.Create(name)
		must(s.t, err)
		defer f.Close()
		must(s.t, pprof.StartCPUProfile(f))
		defer pprof.StopCPUProfile()
	}
	at := make([]apns.Address, devices)
	tokens := make([]apns.DeviceToken, devices)
	for i := range at {
		at[i] = apns.Address{Device: apns.DeviceOrdinal(i + 1), Environment: apns.Sandbox, Topic: alertTopic.Hash()}
		var err error
		tokens[i], err = s.registry.DeviceToken(s.t.Context(), at[i])
		must(s.t, err)
	}
	n := alert("hello")
	before := processorTime(s.t)
	for i := range pushes {
		n.ID = apns.NotificationID(fmt.Sprintf("eabeae54-14a8-11e5-b60b-%012d", i))
		for i%256 == 0 && s.spool.Stats().Notifications > deliverWindow {
			<-time.After(time.Millisecond)
		}
		to := i % devices
		_, err := s.spool.Offer(s.t.Context(), at[to], tokens[to], n)
		must(s.t, err)
	}
	eventually(s.t, "all acknowledged", func() bool { return s.spool.Stats().Notifications == 0 })
	return processorTime(s.t) - before
}

// processorTime returns the processor time that this process has taken.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	must(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestDeliveryCost tells the processor time of a service for a notification to
// one of 1,000 devices on real sockets, from the offer to the acknowledgement,
// with a spool in memory. How much that is depends on the machine, so nothing is
// asserted but that all come.
func TestDeliveryCost(t *testing.T) {
	if os.Getenv("HERALD_LONG") == "" {
		t.Skip("measures, and proves nothing that other tests do not")
	}
	const devices, pushes = 1000, 40_000
	for _, on := range []transport{native, portable} {
		t.Run(string(on), func(t *testing.T) {
			service := startService(t, on, devices)
			leave := connectAll(t, service.crowd, 0, devices, acknowledge)
			defer leave()
			_, err := fmt.Fprintf(service.in, "deliver %d %d\n", pushes, devices)
			must(t, err)
			var took int64
			_, err = fmt.Fscanln(service.out, &took)
			must(t, err)
			t.Logf("%d ns of processor time a notification", took/pushes)
		})
	}
}

// acknowledge acknowledges all that comes, until the connection ends.
func acknowledge(d *tcpDevice, running *sync.WaitGroup) {
	must(d.t, d.conn.SetDeadline(time.Time{}))
	running.Go(func() {
		var buf, out []byte
		chunk := make([]byte, 4096)
		for {
			n, err := d.conn.Read(chunk)
			if err != nil {
				return
			}
			buf, out = append(buf, chunk[:n]...), out[:0]
			for {
				f, n, err := wire.NextFrame(buf, wire.MaxPayloadBytes)
				if err != nil {
					break
				}
				buf = buf[n:]
				m, err := wire.ParseNotification(f.Payload)
				if err == nil {
					out = wire.Ack{MessageID: m.MessageID, HasMessageID: true}.Append(out)
				}
			}
			if _, err := d.conn.Write(out); err != nil {
				return
			}
		}
	})
}
