package apnsclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// seen is what a gateway gets to see of a push.
type seen struct {
	Method, Path, Host, Body string
	Header                   http.Header
}

func TestPushSendsApplesHeaders(t *testing.T) {
	at := time.Unix(1700000000, 0)
	tests := []struct {
		name string
		n    apns.Notification
		want http.Header
	}{
		{"least", apns.Notification{ID: testID, Topic: topic, Payload: apns.Payload(helloPayload)}, http.Header{
			"Apns-Id": {string(testID)}, "Apns-Topic": {string(topic)}, "Apns-Push-Type": {"alert"}, "Content-Length": {"25"},
		}},
		{"all", apns.Notification{
			ID: testID, Topic: topic + ".voip", PushType: apns.PushTypeVoIP, Priority: apns.PriorityConserve,
			Expiration: apns.ExpiresAt(at), CollapseID: "score", Payload: apns.Payload("{}"),
		}, http.Header{
			"Apns-Id": {string(testID)}, "Apns-Topic": {string(topic) + ".voip"}, "Apns-Push-Type": {"voip"}, "Content-Length": {"2"},
			"Apns-Priority": {"5"}, "Apns-Expiration": {"1700000000"}, "Apns-Collapse-Id": {"score"},
		}},
		{"not to be stored, push type inferred", apns.Notification{
			ID: testID, Topic: topic, Expiration: apns.DoNotStore, Payload: apns.Payload(`{"aps":{"content-available":1}}`),
		}, http.Header{
			"Apns-Id": {string(testID)}, "Apns-Topic": {string(topic)}, "Apns-Push-Type": {"background"}, "Content-Length": {"31"},
			"Apns-Expiration": {"0"},
		}},
	}
	var mu sync.Mutex
	var got seen
	g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the push: %v", err)
		}
		mu.Lock()
		got = seen{r.Method, r.URL.Path, r.Host, string(body), r.Header.Clone()}
		mu.Unlock()
		w.Header().Set("apns-unique-id", "u-1")
		accept(w, r)
	})
	s := newSender(t, g.withKey(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			receipt, err := s.Push(t.Context(), deviceToken, tt.n)
			if err != nil {
				t.Fatal(err)
			}
			if want := (Receipt{ID: testID, UniqueID: "u-1"}); receipt != want {
				t.Errorf("got receipt %+v, want %+v", receipt, want)
			}
			mu.Lock()
			defer mu.Unlock()
			token, ok := strings.CutPrefix(got.Header.Get("Authorization"), "bearer ")
			if _, err := credential.ParseProviderToken(token); !ok || err != nil {
				t.Errorf("got authorization that is no provider token: %v", err)
			}
			got.Header.Del("Authorization")
			want := seen{"POST", "/3/device/010203fe", gatewayHost, string(tt.n.Payload), tt.want}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("what the gateway got (-want +got):\n%s", d)
			}
		})
	}
	if n := g.links.Load(); n != 1 {
		t.Errorf("got %d connections, want 1", n)
	}
}

func TestPushMakesAnID(t *testing.T) {
	g := newGateway(t).serve(t, accept)
	s := newSender(t, g.withKey(t))
	ids := map[apns.NotificationID]bool{}
	for range 3 {
		receipt, err := s.Push(t.Context(), deviceToken, hello)
		if err != nil {
			t.Fatal(err)
		}
		if !receipt.ID.Valid() || ids[receipt.ID] {
			t.Errorf("got ID %q, want a new UUID", receipt.ID)
		}
		ids[receipt.ID] = true
	}
}

func TestRejections(t *testing.T) {
	tests := []struct {
		name       string
		status     int
		body       string
		retryAfter string
		want       apns.Rejection
	}{
		{"bad device token", 400, `{"reason":"BadDeviceToken"}`, "", apns.Rejection{Status: 400, Reason: apns.BadDeviceToken}},
		{"topic", 400, `{"reason":"TopicDisallowed"}`, "", apns.Rejection{Status: 400, Reason: apns.TopicDisallowed}},
		{"forbidden", 403, `{"reason":"Forbidden"}`, "", apns.Rejection{Status: 403, Reason: apns.Forbidden}},
		{"path", 404, `{"reason":"BadPath"}`, "", apns.Rejection{Status: 404, Reason: apns.BadPath}},
		{"method", 405, `{"reason":"MethodNotAllowed"}`, "", apns.Rejection{Status: 405, Reason: apns.MethodNotAllowed}},
		{
			"unregistered", 410, `{"reason":"Unregistered","timestamp":1508249865488}`, "",
			apns.Rejection{Status: 410, Reason: apns.Unregistered, Since: time.UnixMilli(1508249865488).UTC()},
		},
		{
			"expired", 410, `{"reason":"ExpiredToken","timestamp":1508249865488}`, "",
			apns.Rejection{Status: 410, Reason: apns.ExpiredToken, Since: time.UnixMilli(1508249865488).UTC()},
		},
		{"too large", 413, `{"reason":"PayloadTooLarge"}`, "", apns.Rejection{Status: 413, Reason: apns.PayloadTooLarge}},
		{
			"too many", 429, `{"reason":"TooManyRequests"}`, "7",
			apns.Rejection{Status: 429, Reason: apns.TooManyRequests, RetryAfter: 7 * time.Second},
		},
		{"fault", 500, `{"reason":"InternalServerError"}`, "", apns.Rejection{Status: 500, Reason: apns.InternalServerError}},
		{
			"overloaded", 503, `{"reason":"ServiceUnavailable"}`, "60",
			apns.Rejection{Status: 503, Reason: apns.ServiceUnavailable, RetryAfter: time.Minute},
		},
		{"unknown reason", 400, `{"reason":"Brand-New"}`, "", apns.Rejection{Status: 400, Reason: "Brand-New"}},
		{"no JSON", 502, "<html>Bad Gateway</html>", "", apns.Rejection{Status: 502}},
		{"no body", 503, "", "", apns.Rejection{Status: 503}},
		{"endless body", 500, strings.Repeat("x", 1<<20), "", apns.Rejection{Status: 500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				reply(w, r, tt.status, tt.body)
			})
			n := hello
			n.ID = testID
			cfg := g.withKey(t)
			cfg.Retry.Attempts = 1
			receipt, err := newSender(t, cfg).Push(t.Context(), deviceToken, n)
			var got *apns.Rejection
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a rejection", err)
			}
			got.Detail = ""
			if d := cmp.Diff(&tt.want, got); d != "" {
				t.Errorf("rejection (-want +got):\n%s", d)
			}
			if receipt.ID != testID {
				t.Errorf("got ID %q, want %q", receipt.ID, testID)
			}
			if n := g.requests.Load(); n != 1 {
				t.Errorf("got %d requests, want 1: nothing is to be repeated", n)
			}
		})
	}
}

// A push that the gateway swallows ends at its deadline, and is reported as
// what it is: sent, and unanswered.
func TestSilenceEndsAtTheDeadline(t *testing.T) {
	tests := []struct {
		name    string
		timeout time.Duration // of the sender; zero for the default
		context time.Duration // of the context; zero for none
		want    time.Duration
	}{
		{"default", 0, 0, 10 * time.Second},
		{"sender's", 3 * time.Second, 0, 3 * time.Second},
		{"context's", 3 * time.Second, time.Second, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t).serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
				cfg := g.withKey(t)
				cfg.Timeout = tt.timeout
				s := newSender(t, cfg)
				ctx := t.Context()
				if tt.context > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.context)
					defer cancel()
				}
				began := time.Now()
				receipt, err := s.Push(ctx, deviceToken, hello)
				if took := time.Since(began); took != tt.want {
					t.Errorf("took %v, want %v", took, tt.want)
				}
				var unanswered *UnansweredError
				if !errors.As(err, &unanswered) || !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("got %v, want an UnansweredError that wraps DeadlineExceeded", err)
				}
				if unanswered.ID != receipt.ID || !receipt.ID.Valid() {
					t.Errorf("got ID %q in the error and %q in the receipt, want the same UUID", unanswered.ID, receipt.ID)
				}
			})
		})
	}
}

func TestPushesShareOneConnection(t *testing.T) {
	g := newGateway(t).serve(t, accept)
	s := newSender(t, g.withKey(t))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := g.links.Load(); n != 1 {
		t.Errorf("got %d connections, want 1", n)
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
			<-time.After(2 * time.Second)
			accept(w, r)
		})
		s := newSender(t, g.withKey(t))
		answered := make(chan error, 1)
		go func() {
			_, err := s.Push(t.Context(), deviceToken, hello)
			answered <- err
		}()
		synctest.Wait() // the push is under way
		began := time.Now()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("closing took %v, want the 2s of the push under way", took)
		}
		if err := <-answered; err != nil {
			t.Errorf("the push under way: %v", err)
		}
		_, err := s.Push(t.Context(), deviceToken, hello)
		var unsent *UnsentError
		if !errors.As(err, &unsent) || !errors.Is(err, ErrClosed) {
			t.Errorf("got %v after closing, want an UnsentError that wraps ErrClosed", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}

func TestCertificate(t *testing.T) {
	g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 || r.Header.Get("authorization") != "" {
			t.Errorf("got %d certificates and authorization %q", len(r.TLS.PeerCertificates), r.Header.Get("authorization"))
		}
		accept(w, r)
	})
	cfg := g.config()
	cfg.Certificate = g.certificate(t, g.root, credential.PushUniversal)
	if _, err := newSender(t, cfg).Push(t.Context(), deviceToken, hello); err != nil {
		t.Fatal(err)
	}
}

func TestNewRefuses(t *testing.T) {
	g := newGateway(t)
	certificate := g.certificate(t, g.root, credential.PushUniversal)
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no environment", func(c *Config) { c.Environment = 0 }, "no environment"},
		{"no credential", func(c *Config) { c.ProviderTokens = nil }, "no credential"},
		{"two credentials", func(c *Config) { c.Certificate = certificate }, "give one"},
		{"negative timeout", func(c *Config) { c.Timeout = -1 }, "negative"},
		{"URL as host", func(c *Config) { c.Host = "https://gateway.example.com" }, "without a scheme"},
		{"empty port", func(c *Config) { c.Host = "gateway.example.com:" }, "want host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := g.withKey(t)
			tt.change(&cfg)
			s, err := New(cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if s != nil {
				t.Error("got a sender with the error")
			}
		})
	}
}

func TestHosts(t *testing.T) {
	tests := []struct {
		host        string
		environment apns.Environment
		addr, name  string
	}{
		{"", apns.Production, "api.push.apple.com:443", "api.push.apple.com"},
		{"", apns.Sandbox, "api.sandbox.push.apple.com:443", "api.sandbox.push.apple.com"},
		{"push.example.com", apns.Sandbox, "push.example.com:443", "push.example.com"},
		{"api.push.apple.com:2197", apns.Production, "api.push.apple.com:2197", "api.push.apple.com"},
		{"[::1]:8443", apns.Production, "[::1]:8443", "::1"},
		{"::1", apns.Production, "[::1]:443", "::1"},
	}
	for _, tt := range tests {
		t.Run(tt.addr, func(t *testing.T) {
			addr, name, err := Config{Host: tt.host, Environment: tt.environment}.address()
			if addr != tt.addr || name != tt.name || err != nil {
				t.Errorf("got %q, %q, %v, want %q, %q", addr, name, err, tt.addr, tt.name)
			}
		})
	}
}
