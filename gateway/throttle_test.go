package gateway

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/heraldpush/herald/apns"
)

func addressOf(n int) apns.Address {
	return apns.Address{Device: apns.DeviceOrdinal(n), Environment: apns.Production, Topic: apns.Topic("com.example.demo").Hash()}
}

// TestThrottleAgainstModel compares a throttle with buckets that count.
func TestThrottleAgainstModel(t *testing.T) {
	type model struct {
		left float64
		at   time.Duration
	}
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // to be repeated
		burst, interval := 1+random.IntN(5), time.Duration(1+random.IntN(3))*time.Second
		th := newThrottle(&Limits{DeviceBurst: burst, DeviceInterval: interval})
		models := make([]model, 50)
		for i := range models {
			models[i].left = float64(burst)
		}
		var now time.Duration
		for range 5000 {
			now += time.Duration(random.IntN(64)) * time.Second / 256 // exact in the model's numbers too
			n := random.IntN(len(models))
			m := &models[n]
			m.left = min(float64(burst), m.left+(now-m.at).Seconds()/interval.Seconds())
			m.at = now
			const rounding = 1e-6
			want := m.left > 1-rounding
			err := th.take(addressOf(n), th.started.Add(now))
			if got := err == nil; got != want {
				t.Fatalf("seed %d: device %d at %v with %v left: got %v, want %v", seed, n, now, m.left, got, want)
			}
			if want {
				m.left--
				continue
			}
			why, ok := errors.AsType[*apns.Rejection](err)
			if !ok || why.Reason != apns.TooManyRequests {
				t.Fatalf("got %v, want TooManyRequests", err)
			}
			wait := time.Duration((1 - m.left) * float64(interval))
			if d := (why.RetryAfter - wait).Abs(); d > time.Microsecond {
				t.Fatalf("seed %d: to wait: got %v, want %v", seed, why.RetryAfter, wait)
			}
		}
	}
}

// TestThrottleBounded proves that a throttle takes no more memory for more
// devices, that none is refused for the sake of others, and that the one that is
// flooded is remembered longest.
func TestThrottleBounded(t *testing.T) {
	if got, most := unsafe.Sizeof(throttle{}), uintptr(3<<20); got > most {
		t.Errorf("got %d bytes, want at most %d", got, most)
	}
	th := newThrottle(&Limits{DeviceBurst: 60, DeviceInterval: time.Second})
	now := th.started
	for range 60 {
		if err := th.take(addressOf(0), now); err != nil {
			t.Fatal(err)
		}
	}
	const devices = 4 * throttleShards * shardSets * setBuckets
	for n := 1; n <= devices; n++ {
		if err := th.take(addressOf(n), now); err != nil {
			t.Fatalf("device %d: got %v, want none", n, err)
		}
	}
	if err := th.take(addressOf(0), now); !errors.Is(err, apns.Reject(apns.TooManyRequests, "")) {
		t.Errorf("flooded device: got %v, want TooManyRequests", err)
	}
}

func TestThrottleAllocates(t *testing.T) {
	th := newThrottle(&Limits{DeviceBurst: 60, DeviceInterval: time.Second})
	n, now := 0, th.started
	if got := testing.AllocsPerRun(1000, func() {
		n++
		if err := th.take(addressOf(n), now); err != nil {
			t.Error(err)
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func TestThrottleConcurrently(t *testing.T) {
	const burst, senders = 60, 8
	th := newThrottle(&Limits{DeviceBurst: burst, DeviceInterval: time.Second})
	var taken atomic.Int64
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for range burst {
				if th.take(addressOf(1), th.started) == nil {
					taken.Add(1)
				}
			}
		})
	}
	sending.Wait()
	if got := taken.Load(); got != burst {
		t.Errorf("got %d notifications through, want %d", got, burst)
	}
}

func TestThrottleOff(t *testing.T) {
	th := newThrottle(&Limits{})
	for range 1000 {
		if err := th.take(addressOf(1), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkThrottle(b *testing.B) {
	th := newThrottle(&Limits{DeviceBurst: 1_000_000, DeviceInterval: time.Nanosecond})
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if err := th.take(addressOf(n), th.started.Add(time.Duration(n))); err != nil {
			b.Fatal(err)
		}
	}
}
