package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
)

// update is a payload that may be broadcast.
const update = `{"aps":{"timestamp":1700000000,"event":"update","content-state":{}}}`

// far is an expiration that is far off.
const far = "9999999999"

// Outcomes of requests about channels.
const (
	created = "201"
	deleted = "204"
)

// newBroadcastWorld returns a world whose demo app can broadcast.
func newBroadcastWorld(tb testing.TB, opt options) *world {
	tb.Helper()
	w := newWorldWith(tb, opt)
	w.setBroadcast(tb, true)
	return w
}

func (w *world) setBroadcast(tb testing.TB, on bool) portal.Broadcast {
	tb.Helper()
	a, err := w.portal.SetBroadcast(tb.Context(), demo, on)
	if err != nil {
		tb.Fatal(err)
	}
	return a.Broadcast
}

// newChannel has the registry make a channel of the demo app in the sandbox.
func (w *world) newChannel(tb testing.TB, p apns.StoragePolicy) apns.ChannelID {
	tb.Helper()
	return w.newChannelOf(tb, apns.Sandbox, p)
}

func (w *world) newChannelOf(tb testing.TB, env apns.Environment, p apns.StoragePolicy) apns.ChannelID {
	tb.Helper()
	a, err := w.portal.App(tb.Context(), demo)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := w.registry.CreateChannel(tb.Context(), registry.ChannelOwner{App: demo, Environment: env, Term: a.Broadcast.Term}, p)
	if err != nil {
		tb.Fatal(err)
	}
	return c.ID
}

// authorized returns a request of the world's team.
func (w *world) authorized(tb testing.TB, method, path, body string) *push {
	tb.Helper()
	q := &push{method: method, path: path, body: []byte(body)}
	return q.add("authorization", "bearer "+w.team.token(tb, time.Now()))
}

const (
	channelsPath    = "/1/apps/com.example.demo/channels"
	allChannelsPath = "/1/apps/com.example.demo/all-channels"
	broadcastPath   = "/4/broadcasts/apps/com.example.demo"
)

// create returns a good request to create a channel.
func (w *world) create(tb testing.TB, p apns.StoragePolicy) *push {
	tb.Helper()
	return w.authorized(tb, "POST", channelsPath, fmt.Sprintf(`{"message-storage-policy":%d,"push-type":"LiveActivity"}`, p))
}

// about returns a request about a channel: GET or DELETE.
func (w *world) about(tb testing.TB, method string, c apns.ChannelID) *push {
	tb.Helper()
	return w.authorized(tb, method, channelsPath, "").set("apns-channel-id", string(c))
}

// list returns a request for the list of channels.
func (w *world) list(tb testing.TB) *push {
	tb.Helper()
	return w.authorized(tb, "GET", allChannelsPath, "")
}

// broadcast returns a good broadcast on a channel, which is not to be stored.
func (w *world) broadcast(tb testing.TB, c apns.ChannelID) *push {
	tb.Helper()
	return w.authorized(tb, "POST", broadcastPath, update).set("apns-channel-id", string(c)).
		set("apns-push-type", "liveactivity").set("apns-expiration", "0").set("apns-priority", "10")
}

// channels returns the list of channels as a provider sees it.
func (p *peer) channels(q *push) []string {
	p.t.Helper()
	id := p.send(q)
	p.must(p.fr.WriteWindowUpdate(id, 1<<20))
	a := p.await(id)
	if got := a.outcome(); got != accepted {
		p.t.Errorf("list: got %s", got)
	}
	var doc struct {
		Channels []string `json:"channels"`
	}
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil || doc.Channels == nil {
		p.t.Errorf("list: got %.100q, %v", a.body, err)
	}
	return doc.Channels
}

// stored checks the payload that is stored on a channel; empty for none.
func (w *world) storedOn(tb testing.TB, c apns.ChannelID, want string) spool.Message {
	tb.Helper()
	m, ok, err := w.spool.Latest(tb.Context(), c)
	if err != nil || ok != (want != "") || string(m.Notification.Payload) != want {
		tb.Errorf("stored: got %q, %t, %v, want %q", m.Notification.Payload, ok, err, want)
	}
	return m
}

// checkBroadcastForm checks what is the same for every answer to a request of
// broadcast push (docs/protocol/broadcast.md#requests).
func checkBroadcastForm(q *push, a *answer) error {
	id, asked := a.get("apns-request-id"), append(q.get("apns-request-id"), q.get("apns-id")...)
	switch {
	case len(id) != 1:
		return fmt.Errorf("%d headers apns-request-id", len(id))
	case len(asked) == 1 && anyUUID.MatchString(asked[0]):
		if id[0] != asked[0] {
			return fmt.Errorf("apns-request-id: got %s, want %s", id[0], asked[0])
		}
	case len(asked) < 2 && !uuidForm.MatchString(id[0]):
		return fmt.Errorf("apns-request-id: got %q, want a UUID in lower case", id[0])
	}
	names := make([]string, 0, len(a.fields))
	for _, f := range a.fields {
		names = append(names, f.Name)
	}
	got := strings.Join(names, " ")
	frames := strings.Join(slices.Compact(slices.Clone(a.frames)), " ")
	switch status := strings.Join(a.get(":status"), "+"); status {
	case created:
		if got != ":status apns-channel-id apns-request-id" || frames != "HEADERS" {
			return fmt.Errorf("created: got %s, fields %s", frames, got)
		}
	case deleted:
		if got != ":status apns-request-id" || frames != "HEADERS" {
			return fmt.Errorf("deleted: got %s, fields %s", frames, got)
		}
	case accepted:
		want, with := ":status apns-unique-id apns-request-id", "HEADERS"
		if q.method == "GET" {
			want, with = ":status apns-request-id content-type", "HEADERS DATA"
		} else if unique := a.get("apns-unique-id"); len(unique) != 1 || !uuidForm.MatchString(unique[0]) {
			return fmt.Errorf("apns-unique-id: got %q", unique)
		}
		if got != want || frames != with {
			return fmt.Errorf("accepted: got %s, fields %s, want %s, %s", frames, got, with, want)
		}
	default:
		if len(a.frames) != 2 || frames != "HEADERS DATA" || !reasonForm.MatchString(a.body) {
			return fmt.Errorf("refusal: got frames %s, body %q", frames, a.body)
		}
		if !strings.HasPrefix(got, ":status apns-request-id content-type") {
			return fmt.Errorf("refusal: got fields %s", got)
		}
	}
	if ct := a.get("content-type"); a.body != "" && (len(ct) != 1 || ct[0] != "application/json") {
		return fmt.Errorf("content-type: got %q", ct)
	}
	return nil
}

// beforeChannels has f called before each call about channels; nil for nothing.
func (s *faultyRegistry) beforeChannels(f func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channel = f
}

func (s *faultyRegistry) channelFault(ctx context.Context) error {
	s.mu.Lock()
	f := s.channel
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx)
}

// EnterChannel implements registry.Store.
func (s *faultyRegistry) EnterChannel(ctx context.Context, c registry.Channel, limit int) (registry.Channel, error) {
	if err := s.channelFault(ctx); err != nil {
		return registry.Channel{}, err
	}
	return s.Store.EnterChannel(ctx, c, limit)
}

// Channel implements registry.Store.
func (s *faultyRegistry) Channel(ctx context.Context, o registry.ChannelOwner, id apns.ChannelID) (registry.Channel, error) {
	if err := s.channelFault(ctx); err != nil {
		return registry.Channel{}, err
	}
	return s.Store.Channel(ctx, o, id)
}

// Channels implements registry.Store.
func (s *faultyRegistry) Channels(ctx context.Context, o registry.ChannelOwner) ([]apns.ChannelID, error) {
	if err := s.channelFault(ctx); err != nil {
		return nil, err
	}
	return s.Store.Channels(ctx, o)
}

// RemoveChannel implements registry.Store.
func (s *faultyRegistry) RemoveChannel(ctx context.Context, o registry.ChannelOwner, id apns.ChannelID) error {
	if err := s.channelFault(ctx); err != nil {
		return err
	}
	return s.Store.RemoveChannel(ctx, o, id)
}

// PutMessage implements spool.Store.
func (s *faultySpool) PutMessage(ctx context.Context, m spool.Message) error {
	s.mu.Lock()
	f := s.put
	s.mu.Unlock()
	if f != nil {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return s.Store.PutMessage(ctx, m)
}
