package apnsclient

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

const (
	channel = apns.ChannelID("dHN0LXNyY2gtY2hubA==")
	update  = `{"aps":{"timestamp":1700000000,"event":"update","content-state":{"score":1}}}`
)

// A broadcast has every header that the service wants, and none that it does not know.
func TestBroadcastRequest(t *testing.T) {
	n := apns.Notification{
		ID: testID, Topic: topic, PushType: apns.PushTypeLiveActivity, Priority: apns.PriorityConserve,
		Expiration: apns.ExpiresAt(time.Unix(1700000000, 0)), Payload: apns.Payload(update),
	}
	got := broadcastRequest(channel, n)
	want := exchange{
		method: "POST", path: "/4/broadcasts/apps/com.example.demo",
		fields: []hpack.HeaderField{
			{Name: "apns-push-type", Value: "liveactivity"},
			{Name: "apns-priority", Value: "5"},
			{Name: "apns-expiration", Value: "1700000000"},
			{Name: "apns-channel-id", Value: string(channel)},
			{Name: "apns-request-id", Value: string(testID)},
		},
		body: []byte(update), id: testID, topic: topic, pushType: "liveactivity",
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(exchange{})); d != "" {
		t.Errorf("request (-want +got):\n%s", d)
	}
	n.Expiration = apns.DoNotStore
	if got := broadcastRequest(channel, n).fields[2].Value; got != "0" {
		t.Errorf("not to be stored: got apns-expiration %q, want 0", got)
	}
}

// What would be refused is found before anything is sent.
func TestBroadcastChecks(t *testing.T) {
	g := newGateway(t)
	good := apns.Notification{Topic: topic, Expiration: apns.DoNotStore, Payload: apns.Payload(update)}
	for _, tt := range []struct {
		name    string
		channel apns.ChannelID
		change  func(*apns.Notification)
		want    apns.Reason
	}{
		{"no channel", "", nil, apns.MissingChannelID},
		{"no channel ID", "score", nil, apns.BadChannelID},
		{"no topic", channel, func(n *apns.Notification) { n.Topic = "" }, apns.MissingTopic},
		{"topic with suffix", channel, func(n *apns.Notification) { n.Topic += ".push-type.liveactivity" }, apns.TopicDisallowed},
		{"bad topic", channel, func(n *apns.Notification) { n.Topic = "a b" }, apns.BadTopic},
		{"push type", channel, func(n *apns.Notification) { n.PushType = apns.PushTypeAlert }, apns.InvalidPushType},
		{"no expiration", channel, func(n *apns.Notification) { n.Expiration = apns.Expiration{} }, apns.BadExpirationDate},
		{"priority", channel, func(n *apns.Notification) { n.Priority = 7 }, apns.BadPriority},
		{"collapse identifier", channel, func(n *apns.Notification) { n.CollapseID = "score" }, apns.BadCollapseID},
		{"ID", channel, func(n *apns.Notification) { n.ID = "1" }, apns.BadMessageID},
		{"no payload", channel, func(n *apns.Notification) { n.Payload = nil }, apns.PayloadEmpty},
		{"payload", channel, func(n *apns.Notification) {
			n.Payload = apns.Payload(`{"a":"` + strings.Repeat("x", apns.MaxBroadcastBytes) + `"}`)
		}, apns.PayloadTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := good
			if tt.change != nil {
				tt.change(&n)
			}
			_, err := newSender(t, g.withKey(t)).Broadcast(t.Context(), tt.channel, n)
			if _, ok := errors.AsType[*CheckError](err); !ok || !errors.Is(err, apns.Reject(tt.want, "")) {
				t.Errorf("got %v, want a CheckError for %s", err, tt.want)
			}
		})
	}
}

// A broadcast may be of the 5120 bytes that a channel takes, where a push of a
// Live Activity may not.
func TestBroadcastOfTheLargestPayload(t *testing.T) {
	g := newGateway(t).serve(t, accept)
	n := apns.Notification{Topic: topic, Expiration: apns.DoNotStore}
	n.Payload = apns.Payload(`{"a":"` + strings.Repeat("x", apns.MaxBroadcastBytes-8) + `"}`)
	if _, err := newSender(t, g.withKey(t)).Broadcast(t.Context(), channel, n); err != nil {
		t.Error(err)
	}
}

// With a certificate, the app need not be named.
func TestBroadcastWithACertificate(t *testing.T) {
	g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/4/broadcasts/apps/" + string(topic); r.URL.Path != want {
			t.Errorf("got path %q, want %q", r.URL.Path, want)
		}
		w.Header().Set("apns-request-id", r.Header.Get("apns-request-id"))
		w.Header().Set("apns-unique-id", "u-1")
	})
	cfg := g.config()
	cfg.Certificate = g.certificate(t, g.root, credential.PushUniversal)
	s := newSender(t, cfg)
	receipt, err := s.Broadcast(t.Context(), channel, apns.Notification{ID: testID, Expiration: apns.DoNotStore, Payload: apns.Payload(update)})
	if want := (Receipt{ID: testID, UniqueID: "u-1"}); err != nil || receipt != want {
		t.Errorf("got %+v, %v, want %+v", receipt, err, want)
	}
}

func TestChannelsHost(t *testing.T) {
	for _, tt := range []struct {
		environment apns.Environment
		host, want  string
	}{
		{apns.Production, "", "api-manage-broadcast.push.apple.com:2196"},
		{apns.Sandbox, "", "api-manage-broadcast.sandbox.push.apple.com:2195"},
		{apns.Sandbox, "push.example.com", "push.example.com:2195"},
		{apns.Production, "push.example.com:443", "push.example.com:443"},
	} {
		if got := channelsHost(tt.environment, tt.host); got != tt.want {
			t.Errorf("%v %q: got %q, want %q", tt.environment, tt.host, got, tt.want)
		}
	}
}

// Answers that no service would give are errors that say so.
func TestChannelsWithStrangeAnswers(t *testing.T) {
	var status int
	var body, id string
	g := newGateway(t).serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("apns-channel-id", id)
		w.WriteHeader(status)
		w.Write([]byte(body)) //nolint:errcheck // the sender sees what comes
	})
	cfg := g.withKey(t)
	cfg.Host += ":443"
	c, err := NewChannels(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	create := func() error { _, err := c.Create(t.Context(), topic, apns.NoMessageStored); return err }
	read := func() error { _, err := c.Read(t.Context(), topic, channel); return err }
	list := func() error { _, err := c.List(t.Context(), topic); return err }
	for _, tt := range []struct {
		name     string
		call     func() error
		status   int
		id, body string
		want     string
	}{
		{"no ID", create, 201, "", "", "creating a channel of com.example.demo: the answer has no good apns-channel-id"},
		{"no configuration", read, 200, "", "{}", "reading a channel of com.example.demo (dHN0LXNyY2gtY2hubA==): the answer is no configuration"},
		{"no list", list, 200, "", "[]", "listing the channels of com.example.demo: the answer is none"},
		{"a list too long to be one", list, 200, "", `{"channels":["` + strings.Repeat("x", 5<<20), "listing the channels of com.example.demo: the answer is none"},
		{"bad gateway", list, 404, "", "<html>", "listing the channels of com.example.demo: 404"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, id, body = tt.status, tt.id, tt.body
			err := tt.call()
			failed, ok := errors.AsType[*ChannelError](err)
			if !ok || !failed.RequestID.Valid() || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want a ChannelError with a request ID: %q", err, tt.want)
			}
		})
	}
}

func TestChannelsCheck(t *testing.T) {
	c, err := NewChannels(newGateway(t).withKey(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tt := range []struct {
		name string
		call func() error
		want apns.Reason
	}{
		{"policy", func() error { _, err := c.Create(t.Context(), topic, 2); return err }, apns.BadRequestParams},
		{"no app", func() error { _, err := c.List(t.Context(), ""); return err }, apns.MissingTopic},
		{"suffix", func() error { _, err := c.List(t.Context(), topic+".voip"); return err }, apns.TopicDisallowed},
		{"no channel", func() error { return c.Delete(t.Context(), topic, "") }, apns.MissingChannelID},
		{"bad channel", func() error { _, err := c.Read(t.Context(), topic, "x"); return err }, apns.BadChannelID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.call()
			failed, ok := errors.AsType[*ChannelError](err)
			if !ok || failed.RequestID != "" || !errors.Is(err, apns.Reject(tt.want, "")) || OutcomeOf(err) != Invalid {
				t.Errorf("got %v, want an unsent ChannelError for %s", err, tt.want)
			}
		})
	}
}
