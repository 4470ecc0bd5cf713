package courier_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/wire"
)

// What providers are promised, from one end to the other: requests over HTTP/2 go
// in, and frames come out (docs/protocol/provider.md#storage).

// provider sends as a provider does that does not share our client.
type provider struct {
	t    *testing.T
	http http.Client
	url  string
}

func newProvider(t *testing.T, p *apnstest.Platform) *provider {
	t.Helper()
	transport := &http.Transport{
		DialContext: p.Dial, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: p.Roots, Certificates: []tls.Certificate{p.Developer.Identity.TLS()}},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &provider{t: t, http: http.Client{Transport: transport}, url: "https://" + p.GatewayAddr(apns.Sandbox) + "/3/device/"}
}

// push returns the status and the body of the answer. Headers are pairs.
func (p *provider) push(token apns.DeviceToken, body string, headers ...string) (status int, answer string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+token.Hex(), bytes.NewBufferString(body))
	must(p.t, err)
	r.Header.Set("apns-topic", string(alertTopic))
	r.Header.Set("apns-push-type", "alert")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := p.http.Do(r)
	must(p.t, err)
	b, err := io.ReadAll(resp.Body)
	must(p.t, err)
	must(p.t, resp.Body.Close())
	if resp.ProtoMajor != 2 {
		p.t.Errorf("protocol is %s, want HTTP/2", resp.Proto)
	}
	return resp.StatusCode, string(b)
}

func (p *provider) accepted(token apns.DeviceToken, body string, headers ...string) {
	p.t.Helper()
	if status, answer := p.push(token, body, headers...); status != http.StatusOK || answer != "" {
		p.t.Errorf("got %d %s, want 200", status, answer)
	}
}

func promised(t *testing.T, f func(s *service, p *provider, d *rawDevice, id identity)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		platform := apnstest.New(t)
		s := newService(t, platform)
		id := s.newIdentity()
		d := s.login(id, "")
		f(s, newProvider(t, platform), d, id)
	})
}

func body(text string) string { return `{"aps":{"alert":"` + text + `"}}` }

// TestRemovedApp: after the device says that it does not have the app, the
// provider is told so, with the time.
func TestRemovedApp(t *testing.T) {
	promised(t, func(s *service, p *provider, d *rawDevice, _ identity) {
		token := d.token(alertTopic)
		d.ready(alertTopic)
		p.accepted(token, body("hello"))
		n := d.want(wire.CommandNotification)
		time.Sleep(90 * time.Millisecond)
		d.ack(n, wire.AckNotOurs)
		synctest.Wait()
		gone := time.Now()
		want := fmt.Sprintf(`{"reason":"Unregistered","timestamp":%d}`, gone.UnixMilli())
		for range 2 {
			if status, answer := p.push(token, body("more")); status != http.StatusGone || answer != want {
				s.t.Errorf("got %d %s, want 410 %s", status, answer, want)
			}
			time.Sleep(24 * time.Hour)
		}
		// The app is installed again: it gets another token, and that is good.
		d = s.login(s.newIdentity(), "")
		newer := d.token(alertTopic)
		if newer == token {
			s.t.Error("the device token is the same")
		}
		d.ready(alertTopic)
		p.accepted(newer, body("again"))
		d.wantPayload(alert("again"), 0)
		if status, answer := p.push(token, body("more")); status != http.StatusGone || answer != want {
			s.t.Errorf("got %d %s, want 410 %s", status, answer, want)
		}
	})
}

// TestOfflineThree: of three pushes to a device that is away, it gets the last.
func TestOfflineThree(t *testing.T) {
	promised(t, func(s *service, p *provider, d *rawDevice, id identity) {
		token := d.token(alertTopic)
		d.close()
		for _, text := range []string{"first", "second", "third"} {
			p.accepted(token, body(text), "apns-collapse-id", text) // which does not part them
			time.Sleep(time.Minute)
		}
		d = s.login(id, "")
		d.filter(alertTopic)
		d.ack(d.wantPayload(alert("third"), 3), wire.AckOK)
		d.wantNothing()
		d.close()
		d = s.login(id, "")
		d.ready(alertTopic)
	})
}

// TestOfflineNow: what is to be delivered now or never is never delivered to a
// device that is away, and is accepted nevertheless.
func TestOfflineNow(t *testing.T) {
	promised(t, func(s *service, p *provider, d *rawDevice, id identity) {
		token := d.token(alertTopic)
		d.close()
		p.accepted(token, body("now"), "apns-expiration", "0")
		synctest.Wait()
		if n := s.spool.Stats().Notifications; n != 0 {
			s.t.Errorf("%d are stored, want 0", n)
		}
		d = s.login(id, "")
		d.ready(alertTopic)
		d.wantNothing()
	})
}

// TestNowDoesNotReplace: what is now or never does not cost a device what it was
// promised.
func TestNowDoesNotReplace(t *testing.T) {
	promised(t, func(s *service, p *provider, d *rawDevice, id identity) {
		token := d.token(alertTopic)
		d.close()
		p.accepted(token, body("promised"))
		p.accepted(token, body("now"), "apns-expiration", "0")
		d = s.login(id, "")
		d.filter(alertTopic)
		d.wantPayload(alert("promised"), 3)
	})
}

// TestRestrictedByPower: a device that is connected, but asleep, is as good as
// away for what does not wake it.
func TestRestrictedByPower(t *testing.T) {
	promised(t, func(s *service, p *provider, d *rawDevice, _ identity) {
		token := d.token(alertTopic)
		d.ready(alertTopic)
		d.send(frame(wire.CommandSetActiveState, item(1, []byte{2})))
		synctest.Wait()
		p.accepted(token, body("now"), "apns-expiration", "0", "apns-priority", "5")
		d.wantNothing()
		for i := range 3 { // the newest waits, alone
			p.accepted(token, body(fmt.Sprint(i)), "apns-priority", "5")
			time.Sleep(time.Minute)
		}
		d.wantNothing()
		time.Sleep(13*time.Minute - time.Nanosecond)
		d.wantNothing()
		time.Sleep(time.Minute + time.Nanosecond) // 15 minutes after it was taken
		d.ack(d.wantPayload(alert("2"), 0), wire.AckOK)
		d.wantNothing() // it sleeps again

		p.accepted(token, body("never by itself"), "apns-priority", "1")
		for range 48 {
			time.Sleep(30 * time.Minute)
			d.send(frame(wire.CommandKeepAlive))
			d.want(wire.CommandKeepAliveResponse)
		}
		d.wantNothing()
		d.send(frame(wire.CommandSetActiveState, item(1, []byte{1})))
		d.ack(d.wantPayload(alert("never by itself"), 0), wire.AckOK)
		d.send(frame(wire.CommandSetActiveState, item(1, []byte{2})))
		synctest.Wait()
		p.accepted(token, body("urgent"), "apns-priority", "10")
		d.ack(d.wantPayload(alert("urgent"), 0), wire.AckOK)
	})
}

// TestExpirationHonoured: a notification is discarded at the earlier of its
// expiration and 30 days, whether the device is away or asleep.
func TestExpirationHonoured(t *testing.T) {
	promised(t, func(s *service, p *provider, d *rawDevice, _ identity) {
		token := d.token(alertTopic)
		d.ready(alertTopic)
		d.send(frame(wire.CommandSetActiveState, item(1, []byte{2})))
		synctest.Wait()
		in := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
		p.accepted(token, body("asleep"), "apns-priority", "1", "apns-expiration", in(10*time.Minute))
		time.Sleep(11 * time.Minute)
		d.send(frame(wire.CommandSetActiveState, item(1, []byte{1})))
		d.wantNothing()

		for _, tt := range []struct {
			name       string
			expiration string
			away       time.Duration
			comes      bool
		}{
			{"in time", in(time.Hour + 22*time.Minute), time.Hour, true},
			{"too late", in(3 * time.Hour), 4 * time.Hour, false},
			{"in the past", "1", time.Second, false},
			{"no expiration", "", 30*24*time.Hour - time.Minute, true},
			{"30 days", "", 30*24*time.Hour + time.Minute, false},
			{"farther than 30 days", "9999999999", 30*24*time.Hour + time.Minute, false},
		} {
			id := s.newIdentity() // a certificate is good for 90 days
			d := s.login(id, "")
			token := d.token(alertTopic)
			d.close()
			var headers []string
			if tt.expiration != "" {
				headers = []string{"apns-expiration", tt.expiration}
			}
			p.accepted(token, body(tt.name), headers...)
			time.Sleep(tt.away)
			back := s.login(id, "")
			if tt.comes {
				back.filter(alertTopic)
				back.ack(back.wantPayload(alert(tt.name), 3), wire.AckOK)
				back.wantNothing()
			} else {
				back.ready(alertTopic)
			}
			back.close()
		}
	})
}

// TestCollapse: a later notification with the same collapse id replaces one that
// waits; one that the device has is replaced on its screen, by the device.
func TestCollapse(t *testing.T) {
	promised(t, func(s *service, p *provider, d *rawDevice, _ identity) {
		token := d.token(alertTopic)
		d.ready(alertTopic)
		p.accepted(token, body("1:0"), "apns-collapse-id", "score")
		first := d.wantPayload(alert("1:0"), 0)
		p.accepted(token, body("2:0"), "apns-collapse-id", "score")
		p.accepted(token, body("2:1"), "apns-collapse-id", "score")
		d.wantNothing() // one of a topic is on its way
		d.ack(first, wire.AckOK)
		d.ack(d.wantPayload(alert("2:1"), 0), wire.AckOK)
		d.wantNothing()
	})
}

// TestDeviceTokens: each kind of an app's token is for its own topic, stays the
// same at each launch, and ends with the identity of the device.
func TestDeviceTokens(t *testing.T) {
	promised(t, func(s *service, p *provider, d *rawDevice, id identity) {
		seen := map[apns.DeviceToken]apns.Topic{}
		for _, topic := range []apns.Topic{alertTopic, voipTopic, complicationTopic} {
			token := d.token(topic)
			if other, ok := seen[token]; ok {
				s.t.Errorf("%s and %s have the same device token", topic, other)
			}
			seen[token] = topic
		}
		d.close()
		again := s.login(id, "")
		for token, topic := range seen {
			if again.token(topic) != token {
				s.t.Errorf("%s has another device token at the next launch", topic)
			}
			status, answer := p.push(token, body("x"), "apns-topic", string(alertTopic))
			if want := map[bool]int{true: 200, false: 400}[topic == alertTopic]; status != want {
				s.t.Errorf("%s: got %d %s, want %d", topic, status, answer, want)
			}
		}
		restored := s.login(s.newIdentity(), "")
		if _, ok := seen[restored.token(alertTopic)]; ok {
			s.t.Error("a device with a new identity has an old device token")
		}
	})
}
