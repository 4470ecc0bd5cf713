package main

import (
	"fmt"
	"io"
	"maps"
	"sync"

	"github.com/heraldpush/herald/device/agent"
	"github.com/heraldpush/herald/platform/dev"
)

// deviceScreen prints what happens to a device.
type deviceScreen struct {
	out  io.Writer
	json bool
	cfg  agent.Config
	at   dev.Values // nil without a herald dev

	mu     sync.Mutex
	reason string // why it is not connected, as it was printed last; guarded by mu
	err    error  // of the first line that could not be written; guarded by mu
}

func newDeviceScreen(s streams, json bool, cfg agent.Config, at dev.Values) *deviceScreen {
	return &deviceScreen{out: s.out, json: json, cfg: cfg, at: at}
}

// end returns why not all was printed.
func (d *deviceScreen) end() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// print prints a text whole; the caller holds mu.
func (d *deviceScreen) print(text string) {
	if _, err := io.WriteString(d.out, text); err != nil && d.err == nil {
		d.err = fmt.Errorf("printing: %w", err)
	}
}

// ready says what there is, for people.
func (d *deviceScreen) ready(r agent.Ready) {
	if d.json {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	text := fmt.Sprintf("Herald device agent\n\n  folder   %s\n  socket   %s\n  courier  %s, %v\n",
		plain(d.cfg.Dir), plain(r.Socket), plain(d.cfg.Settings.Courier), d.cfg.Settings.Environment)
	if r.Device != "" {
		text += fmt.Sprintf("  device   %s\n", r.Device)
	}
	if len(r.Apps) == 0 {
		text += fmt.Sprintf("\nNo app is registered. --app BUNDLE-ID registers one, and so does\n\n  curl -X POST --unix-socket %s http://agent/v1/apps/com.example.demo/register\n",
			shellWord(r.Socket))
	}
	d.print(text + "\n")
}

// report prints an event.
func (d *deviceScreen) report(e agent.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.json {
		line, err := e.JSON()
		if err != nil {
			if d.err == nil {
				d.err = err
			}
			return
		}
		d.print(string(line) + "\n")
		return
	}
	switch e.Kind {
	case agent.Connected:
		d.reason = ""
		d.print(fmt.Sprintf("Connected to %s, as device %s.\n", plain(e.Courier), e.Device))
	case agent.Disconnected:
		if e.Reason == agent.Ended {
			d.print("\nGoodbye.\n")
		} else if e.Reason != d.reason { // it tries again, and again
			d.reason = e.Reason
			d.print(fmt.Sprintf("Not connected: %s. It is tried again.\n", plain(e.Reason)))
		}
	case agent.Registered:
		d.print(fmt.Sprintf("\n%s is registered. Its device token:\n\n  %s\n\n%s\n", e.Topic, e.DeviceToken, d.next(e)))
	case agent.Failed:
		d.print(fmt.Sprintf("Failed: %s: %s\n", e.Topic, plain(e.Reason)))
	case agent.Received:
		d.print("\n" + e.Presentation.Draw(bannerWidth))
	}
}

// next says how to push to a device token.
func (d *deviceScreen) next(e agent.Event) string {
	if d.at != nil && string(e.Topic) == d.at[dev.KeyTopic] && e.Environment == "sandbox" {
		v := maps.Clone(d.at)
		v[dev.KeyDeviceToken] = e.DeviceToken
		return "Next, push to it:\n\n" + v.Curl() + "\n"
	}
	return fmt.Sprintf("Next, push to it from where the app's push certificate is (ck.pem), through the %s gateway:\n\n"+
		`curl -i --http2 --cert ck.pem -H 'apns-topic: %s' -H 'apns-push-type: alert' -d '{"aps":{"alert":"Hello"}}' https://GATEWAY/3/device/%s`+"\n",
		e.Environment, e.Topic, e.DeviceToken)
}
