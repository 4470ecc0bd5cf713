package apnsclient

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// Apple's channel management (docs/protocol/broadcast.md#addresses).
const (
	sandboxChannelsHost    = "api-manage-broadcast.sandbox.push.apple.com"
	sandboxChannelsPort    = "2195"
	productionChannelsHost = "api-manage-broadcast.push.apple.com"
	productionChannelsPort = "2196"
)

// Channels makes, reads, lists and deletes the channels of apps in one environment,
// on which Sender.Broadcast sends. It is safe for concurrent use; close it after
// use.
//
// Each method takes the bundle ID of the app; an empty one stands for the app that
// a certificate is for. The error is a *ChannelError around one of those of
// Sender.Push.
type Channels struct {
	sender *Sender
}

// NewChannels returns the Channels of an environment. It connects to nothing
// yet. cfg is as New's, but an empty Host stands for Apple's channel management,
// and the port where there is none is 2195 in the sandbox, and 2196 in production.
func NewChannels(cfg Config) (*Channels, error) {
	cfg.Host = channelsHost(cfg.Environment, cfg.Host)
	s, err := open(cfg, wire.MaxChannelListBytes+1)
	if err != nil {
		return nil, err
	}
	return &Channels{s}, nil
}

// channelsHost returns where the channels of an environment are managed.
func channelsHost(e apns.Environment, host string) string {
	name, port := sandboxChannelsHost, sandboxChannelsPort
	if e == apns.Production {
		name, port = productionChannelsHost, productionChannelsPort
	}
	host = orDefault(host, name)
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(host, port)
}

// ChannelError says what became of a request about channels. It wraps an
// error as Sender.Push returns it, for OutcomeOf and errors.As.
type ChannelError struct {
	// Doing is what was asked for, such as "creating a channel".
	Doing string
	// App is the bundle ID that was given.
	App apns.Topic
	// Channel is the channel; empty where it is none or all.
	Channel apns.ChannelID
	// RequestID is the apns-request-id, by which the service knows the request;
	// empty where nothing was sent.
	RequestID apns.NotificationID
	// Err is why it failed.
	Err error
}

// Error says what was done to which channel, and why it failed.
func (e *ChannelError) Error() string {
	s := e.Doing
	if e.App != "" {
		s += " of " + string(e.App)
	}
	if e.Channel != "" {
		s = fmt.Sprintf("%s (%.128s)", s, string(e.Channel))
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns why it failed.
func (e *ChannelError) Unwrap() error { return e.Err }

// Create makes a channel, and returns its ID. Where the error is an
// *UnansweredError, there may be one all the same: List shows it.
func (c *Channels) Create(ctx context.Context, app apns.Topic, p apns.StoragePolicy) (apns.ChannelID, error) {
	r := &ChannelError{Doing: "creating a channel", App: app}
	if !p.Known() {
		r.Err = &CheckError{
			apns.BadRequestParams, fmt.Sprintf("the storage policy %d is none", p),
			"give apns.NoMessageStored or apns.MostRecentMessageStored",
		}
		return "", r
	}
	x := exchange{method: http.MethodPost, body: wire.ChannelConfig{StoragePolicy: p}.Append(nil)}
	a, err := c.exchange(ctx, r, wire.Channels, x)
	if err != nil {
		return "", err
	}
	id, err := apns.ParseChannelID(a.field(channelIDField))
	if err != nil {
		r.Err = fmt.Errorf("the answer has no good apns-channel-id: %w", err)
		return "", r
	}
	return id, nil
}

// Read returns the storage policy of a channel.
func (c *Channels) Read(ctx context.Context, app apns.Topic, id apns.ChannelID) (apns.StoragePolicy, error) {
	r := &ChannelError{Doing: "reading a channel", App: app, Channel: id}
	a, err := c.exchange(ctx, r, wire.Channels, exchange{method: http.MethodGet})
	if err != nil {
		return 0, err
	}
	config, refused := wire.ParseChannelConfig(a.body)
	if refused != nil {
		r.Err = fmt.Errorf("the answer is no configuration: %s", refused.Detail)
		return 0, r
	}
	return config.StoragePolicy, nil
}

// Delete deletes a channel, for good.
func (c *Channels) Delete(ctx context.Context, app apns.Topic, id apns.ChannelID) error {
	r := &ChannelError{Doing: "deleting a channel", App: app, Channel: id}
	_, err := c.exchange(ctx, r, wire.Channels, exchange{method: http.MethodDelete})
	return err
}

// List returns the channels of an app.
func (c *Channels) List(ctx context.Context, app apns.Topic) ([]apns.ChannelID, error) {
	r := &ChannelError{Doing: "listing the channels", App: app}
	a, err := c.exchange(ctx, r, wire.AllChannels, exchange{method: http.MethodGet})
	if err != nil {
		return nil, err
	}
	ids, err := wire.ParseChannelList(a.body)
	if err != nil {
		r.Err = fmt.Errorf("the answer is none: %w", err)
		return nil, r
	}
	return ids, nil
}

// exchange checks the app, and the channel where one is needed, and completes and
// sends x. What goes wrong is told with r.
func (c *Channels) exchange(ctx context.Context, r *ChannelError, at wire.Resource, x exchange) (answer, error) {
	app, err := c.sender.checkApp(r.App)
	if err != nil {
		r.Err = err
		return answer{}, r
	}
	r.App = app
	if at == wire.Channels && x.method != http.MethodPost {
		if r.Err = checkChannel(r.Channel); r.Err != nil {
			return answer{}, r
		}
		x.fields = append(x.fields, hpack.HeaderField{Name: channelIDField, Value: string(r.Channel)})
	}
	x.path = string(wire.AppendBroadcastPath(nil, at, app))
	x.id, x.topic = c.sender.ids.next(), app
	x.fields = append(x.fields, hpack.HeaderField{Name: requestIDField, Value: string(x.id)})
	r.RequestID = x.id
	a, err := c.sender.engine.exchange(ctx, x)
	if err != nil {
		r.Err = err
		return answer{}, r
	}
	return a, nil
}

// Close is as Sender.Close.
func (c *Channels) Close() error { return c.sender.Close() }
