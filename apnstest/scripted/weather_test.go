package scripted_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
)

var storm = scripted.Weather{
	Seed: 7, Refuse: 0.05, RefuseStream: 0.05, Silence: 0.01, Unanswered: 0.01, Half: 0.01, Broken: 0.02, Then: 0.02,
	MaxDelay: 100 * time.Millisecond, RefuseDial: 0.1, FailHandshake: 0.1, Ramp: 0.5, Swing: 0.3, Slow: 0.2, Vanish: 0.05,
}

// TestWeatherOfASeed shows that the same seed brings the same, in whatever order.
func TestWeatherOfASeed(t *testing.T) {
	other := storm
	other.Seed++
	differ := 0
	for i := range 1000 {
		p := scripted.Push{DeviceToken: apns.DeviceToken(fmt.Sprint(i)), ID: someID, Attempt: 1 + i%3}
		same := func(a, b scripted.Reply) bool { return reflect.DeepEqual(a, b) }
		if !same(storm.Reply(p), storm.Reply(p)) {
			t.Fatal("the same push has another reply the second time")
		}
		if !same(storm.Reply(p), other.Reply(p)) {
			differ++
		}
		if diff := cmp.Diff(storm.Script(i), storm.Script(i)); diff != "" {
			t.Fatal(diff)
		}
	}
	if differ < 900 {
		t.Errorf("%d of 1,000 replies differ between two seeds, want most", differ)
	}
}

func TestFineWeather(t *testing.T) {
	bubble(t, func(t scene) {
		t.g.Weather(scripted.Weather{})
		if ok := pushAll(t.T, t.rt, 100); ok != 100 {
			t.Errorf("got %d accepted, want 100", ok)
		}
		if got := t.g.Counts(); got.Processed != 100 {
			t.Errorf("got %+v", got)
		}
	})
}

// TestStorm has net/http push through a storm. It knows of few of its pushes what
// became of them, but the record has to agree with what it knows, and each push
// has to be accounted for.
func TestStorm(t *testing.T) {
	const pushes = 300
	synctest.Test(t, func(t *testing.T) {
		// A client that is not ours may break a rule: it is not what is tested.
		g := scripted.Config{Lenient: true}.New(t)
		g.Weather(storm)
		rt := newTransport(t, g)
		rt.TLSHandshakeTimeout = time.Second
		rt.HTTP2 = &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second}
		var all sync.WaitGroup
		var mu sync.Mutex
		answered := make(map[scripted.Key]int)
		for i := range pushes {
			if i%100 == 99 {
				time.Sleep(50 * time.Millisecond)
			}
			all.Go(func() {
				key := scripted.Key{ID: someID, DeviceToken: apns.DeviceToken(binary.BigEndian.AppendUint64(nil, uint64(i)))}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				got, err := push(ctx, rt, key.DeviceToken, key.ID)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					answered[key] = got.Status
				}
			})
		}
		all.Wait()
		rt.CloseIdleConnections()
		time.Sleep(time.Minute)
		processed := g.Processed()
		for key, status := range answered {
			if status == 200 && processed[key] == 0 {
				t.Errorf("%x was answered with 200 and is not processed", key.DeviceToken)
			}
		}
		got := g.Counts()
		sum := 0
		for _, n := range got.Fates {
			sum += n
		}
		total := 0
		for _, n := range processed {
			total += n
		}
		if sum != got.Pushes || total != got.Processed || got.Processed-len(processed) != got.Doubled || len(answered) == 0 {
			t.Errorf("%d answered; got %+v", len(answered), got)
		}
	})
}
