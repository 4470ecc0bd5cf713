package provider_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// story returns the hops of a message for an installation, in their order.
func (w *world) story(id outbox.MessageID, i audience.InstallationID) string {
	w.t.Helper()
	s, err := w.Story(w.t.Context(), shop, id, i)
	w.must(err)
	var b strings.Builder
	for n, l := range s.Lines {
		if l.Sentence == "" {
			w.t.Errorf("line %d says nothing", n)
		}
		fmt.Fprintln(&b, l.Hop, l.Sentence)
	}
	return b.String()
}

// A story goes from the call of the API to the receipt, attempt by attempt.
func TestStory(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.crowd(3)
		w.gateway.ReplyTo(tokenOf(0), scripted.Silence(), scripted.Refuse(apns.ServiceUnavailable), scripted.Accept())
		w.gateway.ReplyTo(tokenOf(1), scripted.Refuse(apns.Unregistered))
		w.run(func() {
			id := w.send(shop, "i0", "i1")
			w.says(w.ended(shop, id), "1 1 0 0")
			first := outbox.NotificationID(id, apns.Sandbox, tokenOf(0))
			second := outbox.NotificationID(id, apns.Sandbox, tokenOf(1))
			for _, tt := range []struct {
				of   audience.InstallationID
				want string
			}{
				{"i0", `submitted the API took the message, in the urgent lane
targeted it is for this installation, at place 1 of 2 in shard 0
targeted its sandbox device token for alert, active, gets it with the apns-id ` + string(first) + `
tried the provider sent it, on connection 1, attempt 1: there was no answer
tried the provider sent it, on connection 1, attempt 1: the gateway refused it with status 503 ServiceUnavailable: the service is overloaded
tried the provider sent it, on connection 1, attempt 2: the gateway accepted it with status 200
receipt the receipt is accepted
ended the message is done
`},
				{"i1", `submitted the API took the message, in the urgent lane
targeted it is for this installation, at place 2 of 2 in shard 0
targeted its sandbox device token for alert, gone since 2000-01-01T00:00:00Z (Unregistered), gets it with the apns-id ` + string(second) + `
tried the provider sent it, on connection 1, attempt 1: the gateway refused it with status 410 Unregistered: the device token is no longer active for the topic
receipt rejected: 410 Unregistered
ended the message is done
`},
				{"i2", `submitted the API took the message, in the urgent lane
left-out it is not for this installation: others were named
ended the message is done
`},
			} {
				if d := cmp.Diff(tt.want, w.story(id, tt.of)); d != "" {
					t.Errorf("story of %s (-want +got):\n%s", tt.of, d)
				}
			}
		})
	})
}

// A story of a message that waits says for what.
func TestStoryWaiting(t *testing.T) {
	play(t, func(w *world) {
		w.key("KEY1111111")
		w.crowd(1)
		id := w.send(shop, "i0")
		_, err := w.Pause(w.t.Context(), shop, id)
		w.must(err)
		want := "waiting it waits: the message is paused (asked); tried in 0 passes so far, until 2000-01-02T00:00:00Z at the latest\n"
		if got := w.story(id, "i0"); !strings.HasSuffix(got, want) {
			t.Errorf("got %q, want it to end with %q", got, want)
		}
	})
}

// While the push service is not reached, the story of what waits for it says so, and
// the log, once a minute; and neither does after that.
func TestStoryUnreached(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	var log bytes.Buffer
	playWith(t, func(cfg *provider.Config) {
		reach := cfg.Gateway
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Gateway = func(e apns.Environment) apnsclient.Config {
			gateway := reach(e)
			dial := gateway.Dial
			gateway.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if down.Load() {
					return nil, errors.New("no such host")
				}
				return dial(ctx, network, address)
			}
			return gateway
		}
	}, func(w *world) {
		w.key("KEY1111111")
		w.crowd(1)
		w.run(func() {
			id := w.send(shop, "i0")
			time.Sleep(2*time.Minute + 30*time.Second)
			synctest.Wait()
			if got := w.story(id, "i0"); !strings.Contains(got, "; the push service is not reached: ") || !strings.Contains(got, "no such host") {
				t.Errorf("the story does not say that the push service is not reached:\n%s", got)
			}
			down.Store(false)
			w.says(w.ended(shop, id), "1 0 0 0")
			if got := w.story(id, "i0"); strings.Contains(got, "not reached") {
				t.Errorf("the story of what was accepted says\n%s", got)
			}
		})
		got := log.String()
		if n := strings.Count(got, "the push service is not reached"); n < 2 || n > 3 {
			t.Errorf("in two and a half minutes the log said it %d times:\n%s", n, got)
		}
		if n := strings.Count(got, "the push service is reached again"); n != 1 {
			t.Errorf("the log says %d times that it is reached again:\n%s", n, got)
		}
	})
}
