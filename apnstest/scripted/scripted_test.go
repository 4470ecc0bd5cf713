package scripted_test

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
)

const (
	topic   = "com.example.demo"
	phone   = apns.DeviceToken("\x01\x02\x03\xfe")
	tablet  = apns.DeviceToken("\x0a\x0b\x0c\x0d")
	someID  = apns.NotificationID("eabeae54-14a8-11e5-b60b-1697f925ec7b")
	payload = `{"aps":{"alert":"Hello"}}`
)

// answer is what a sender got.
type answer struct {
	Status     int
	ID         string
	RetryAfter string
	Body       string
}

// accepted is the answer to a push of someID that was accepted.
var accepted = answer{Status: 200, ID: string(someID)}

// newTransport returns the HTTP/2 of net/http on connections to g, closed at the end
// of the test.
func newTransport(t *testing.T, g *scripted.Gateway) *http.Transport {
	t.Helper()
	tr := &http.Transport{
		ForceAttemptHTTP2: true,
		DialTLSContext:    func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, g) },
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// one returns a single connection, on which pushes wait where there are too few
// streams.
func one(t *testing.T, g *scripted.Gateway) *http.ClientConn {
	t.Helper()
	tr := newTransport(t, g)
	tr.HTTP2 = &http.HTTP2Config{StrictMaxConcurrentRequests: true}
	c, err := tr.NewClientConn(t.Context(), "https", "api.push.apple.com:443")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// dial connects and does the handshake.
func dial(ctx context.Context, g *scripted.Gateway) (net.Conn, error) {
	nc, err := g.Dial(ctx, "tcp", "api.push.apple.com:443")
	if err != nil {
		return nil, err
	}
	secure := tls.Client(nc, &tls.Config{RootCAs: g.Roots(), ServerName: "api.push.apple.com", NextProtos: []string{"h2"}})
	if err := secure.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return secure, nil
}

// push sends one push.
func push(ctx context.Context, rt http.RoundTripper, to apns.DeviceToken, id apns.NotificationID) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		"https://api.push.apple.com/3/device/"+hex.EncodeToString([]byte(to)), strings.NewReader(payload))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("apns-topic", topic)
	if id != "" {
		req.Header.Set("apns-id", string(id))
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header.Get("apns-id"), resp.Header.Get("retry-after"), string(body)}, err
}

// scene is a test in virtual time: a gateway, and a sender to it.
type scene struct {
	*testing.T
	g  *scripted.Gateway
	rt *http.Transport
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := scripted.New(t)
		f(scene{t, g, newTransport(t, g)})
	})
}

// seconds returns a context that ends after n seconds.
func seconds(t *testing.T, n int) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestReplies(t *testing.T) {
	since := time.UnixMilli(1_700_000_000_123)
	for _, tt := range []struct {
		name  string
		reply scripted.Reply
		want  answer
		fate  scripted.Fate
	}{
		{"accepted", scripted.Accept(), accepted, scripted.Accepted},
		{
			"refused", scripted.Refuse(apns.BadDeviceToken),
			answer{400, string(someID), "", `{"reason":"BadDeviceToken"}`},
			scripted.Rejected,
		},
		{
			"no longer valid", scripted.Refuse(apns.Unregistered).Since(since),
			answer{410, string(someID), "", `{"reason":"Unregistered","timestamp":1700000000123}`},
			scripted.Rejected,
		},
		{
			"later", scripted.Refuse(apns.TooManyRequests).RetryAfter(time.Minute),
			answer{429, string(someID), "60", `{"reason":"TooManyRequests"}`},
			scripted.Rejected,
		},
		{
			"a status and a reason that do not belong together", scripted.Status(400, apns.Unregistered),
			answer{400, string(someID), "", `{"reason":"Unregistered"}`},
			scripted.Rejected,
		},
		{"no body", scripted.Status(500, ""), answer{500, string(someID), "", ""}, scripted.Rejected},
		{"an empty body", scripted.Refuse(apns.BadTopic).Body(""), answer{400, string(someID), "", ""}, scripted.Rejected},
		{
			"no JSON", scripted.Status(502, "").Body("<html>Bad Gateway"),
			answer{502, string(someID), "", "<html>Bad Gateway"},
			scripted.Rejected,
		},
		{
			"a body in many frames", scripted.Refuse(apns.BadTopic).Frames(100),
			answer{400, string(someID), "", `{"reason":"BadTopic"}`},
			scripted.Rejected,
		},
		{"no apns-id", scripted.Accept().NoID(), answer{Status: 200}, scripted.Accepted},
		{"another apns-id", scripted.Accept().ID("x"), answer{Status: 200, ID: "x"}, scripted.Accepted},
		{
			"upper case", scripted.Accept().UpperID(),
			answer{Status: 200, ID: strings.ToUpper(string(someID))},
			scripted.Accepted,
		},
		{"a status before the status", scripted.Accept().Interim(103).Interim(102), accepted, scripted.Accepted},
		{
			"trailers", scripted.Refuse(apns.BadTopic).Trailer("grpc-status", "0"),
			answer{400, string(someID), "", `{"reason":"BadTopic"}`},
			scripted.Rejected,
		},
		{"trailers without a body", scripted.Accept().Trailer("x", "y"), accepted, scripted.Accepted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t scene) {
				t.g.Reply(tt.reply)
				got, err := push(t.Context(), t.rt, phone, someID)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				p := t.g.Pushes()[0]
				if processed := tt.fate == scripted.Accepted; p.Fate != tt.fate || p.Processed != processed {
					t.Errorf("got %v, processed %v; want %v, %v", p.Fate, p.Processed, tt.fate, processed)
				}
			})
		})
	}
}

// TestNoReply shows the replies that are none.
func TestNoReply(t *testing.T) {
	code := func(of http2.ErrCode) func(error) bool {
		return func(err error) bool {
			var got http2.StreamError
			return errors.As(err, &got) && got.Code == of
		}
	}
	late := func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
	for _, tt := range []struct {
		name      string
		reply     scripted.Reply
		want      func(error) bool
		fate      scripted.Fate
		processed bool
	}{
		{"silence", scripted.Silence(), late, scripted.Unanswered, false},
		{"processed, and silence", scripted.Accept().Unanswered(), late, scripted.Unanswered, true},
		{"half an answer", scripted.Accept().Half(), late, scripted.Unanswered, true},
		{"half a refusal", scripted.Refuse(apns.BadTopic).Half(), late, scripted.Unanswered, false},
		{"cancelled stream", scripted.Break(http2.ErrCodeCancel), code(http2.ErrCodeCancel), scripted.ResetStream, false},
		{"fault", scripted.Break(http2.ErrCodeInternal), code(http2.ErrCodeInternal), scripted.ResetStream, false},
		{"processed, and fault", scripted.Accept().Broken(http2.ErrCodeInternal), code(http2.ErrCodeInternal), scripted.ResetStream, true},
		{"too late", scripted.Accept().Delay(time.Minute), late, scripted.Cancelled, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t scene) {
				t.g.Reply(tt.reply)
				if got, err := push(seconds(t.T, 10), t.rt, phone, someID); !tt.want(err) {
					t.Errorf("got %v, %v", got, err)
				}
				synctest.Wait()
				if p := t.g.Pushes()[0]; p.Fate != tt.fate || p.Processed != tt.processed {
					t.Errorf("got %v, processed %v; want %v, %v", p.Fate, p.Processed, tt.fate, tt.processed)
				}
			})
		})
	}
}

func TestDelay(t *testing.T) {
	bubble(t, func(t scene) {
		t.g.Reply(scripted.Accept().Delay(time.Second).Delay(time.Second))
		from := time.Now()
		if _, err := push(t.Context(), t.rt, phone, someID); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(from); got != 2*time.Second {
			t.Errorf("answered after %v, want 2s", got)
		}
	})
}

// TestRefusedStream shows that a push which the gateway did not begin with is
// sent again, and processed once.
func TestRefusedStream(t *testing.T) {
	bubble(t, func(t scene) {
		t.g.ReplyTo(phone, scripted.RefuseStream(), scripted.Accept())
		if got, err := push(t.Context(), t.rt, phone, someID); err != nil || got != accepted {
			t.Fatalf("got %v, %v", got, err)
		}
		var got []string
		for _, p := range t.g.Pushes() {
			got = append(got, fmt.Sprint(p.Attempt, p.Stream, p.Fate))
		}
		if diff := cmp.Diff([]string{"1 1 refused stream", "2 3 accepted"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want := map[scripted.Key]int{{DeviceToken: phone, ID: someID}: 1}
		if diff := cmp.Diff(want, t.g.Processed()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// pushAll sends n pushes at once, and returns how many were accepted.
func pushAll(t *testing.T, rt http.RoundTripper, n int) (ok int) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			got, err := push(t.Context(), rt, phone, apns.NotificationID(apns.NewUUID()))
			mu.Lock()
			defer mu.Unlock()
			if err == nil && got.Status == 200 {
				ok++
			} else {
				t.Logf("got %v, %v", got, err)
			}
		})
	}
	all.Wait()
	return ok
}

// TestLimitThatGrows is what a gateway does that first wants to see who is there.
func TestLimitThatGrows(t *testing.T) {
	bubble(t, func(t scene) {
		t.g.Script(scripted.Script{Streams: 1, Steps: []scripted.Step{{Accepted: 1, Do: scripted.Streams(50)}}})
		t.g.Reply(scripted.Accept().Delay(time.Second))
		c := one(t.T, t.g)
		if ok := pushAll(t.T, c, 1); ok != 1 {
			t.Fatal("the first push was not accepted")
		}
		from := time.Now()
		if ok := pushAll(t.T, c, 500); ok != 500 {
			t.Errorf("got %d accepted, want 500", ok)
		}
		if got := time.Since(from); got != 10*time.Second {
			t.Errorf("500 pushes at 50 streams took %v, want 10s", got)
		}
		if got := t.g.Counts(); got.MostStreams != 50 || got.Fates[scripted.Accepted] != 501 || got.Opened != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

// TestLimitThatShrinks is what the service does with a sender that it has had
// enough of: what is too much is refused, and comes again.
func TestLimitThatShrinks(t *testing.T) {
	bubble(t, func(t scene) {
		t.g.OnConnect(func(int) scripted.Script {
			return scripted.Script{Streams: 20, Steps: []scripted.Step{
				{Begun: 10, Do: scripted.RefuseOpen},
				{Begun: 10, Do: scripted.Streams(1)},
			}}
		})
		t.g.Reply(scripted.Accept().Delay(time.Second))
		if ok := pushAll(t.T, t.rt, 20); ok != 20 {
			t.Errorf("got %d accepted, want 20", ok)
		}
		got := t.g.Counts()
		if got.Processed != 20 || got.Doubled != 0 || got.Fates[scripted.RefusedStream] == 0 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestGoAway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		goAway scripted.GoAway
	}{
		{"in two steps", scripted.GoAway{}},
		{"at once", scripted.GoAway{AtOnce: true}},
		{"leaving some out", scripted.GoAway{LeaveOut: 3}},
		{"leaving all out", scripted.GoAway{LeaveOut: -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t scene) {
				t.g.OnConnect(func(n int) (s scripted.Script) {
					if n == 1 {
						s.Steps = []scripted.Step{{Begun: 10, Do: tt.goAway}}
					}
					return s
				})
				t.g.Reply(scripted.Accept().Delay(time.Second))
				ok := pushAll(t.T, t.rt, 1) // so that there is a connection to share
				if ok += pushAll(t.T, t.rt, 25); ok != 26 {
					t.Errorf("got %d accepted, want 26", ok)
				}
				time.Sleep(time.Minute)
				got := t.g.Counts()
				if got.Processed != 26 || got.Doubled != 0 || got.Closed == 0 {
					t.Errorf("got %+v", got)
				}
				if tt.goAway.LeaveOut != 0 && got.Fates[scripted.LeftOut] == 0 {
					t.Errorf("got %+v, want some left out", got)
				}
			})
		})
	}
}

// TestGoAwayWithReason shows what a sender with a bad certificate is told.
func TestGoAwayWithReason(t *testing.T) {
	bubble(t, func(t scene) {
		t.g.Script(scripted.Script{Steps: []scripted.Step{{Begun: 1, Do: scripted.GoAway{
			Code: http2.ErrCodeEnhanceYourCalm, Reason: apns.BadCertificate, Close: true,
		}}}})
		_, err := push(t.Context(), t.rt, phone, someID)
		for _, want := range []string{"LastStreamID=1", "ENHANCE_YOUR_CALM", "BadCertificate"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	})
}

func TestRecord(t *testing.T) {
	bubble(t, func(t scene) {
		if _, err := push(t.Context(), t.rt, phone, someID); err != nil {
			t.Fatal(err)
		}
		if _, err := push(t.Context(), t.rt, phone, apns.NotificationID(strings.ToUpper(string(someID)))); err != nil {
			t.Fatal(err)
		}
		if got, err := push(t.Context(), t.rt, tablet, ""); err != nil || !apns.NotificationID(got.ID).Valid() {
			t.Fatalf("got %v, %v; want an apns-id made for it", got, err)
		}
		all := t.g.Pushes()
		if len(all) != 3 {
			t.Fatalf("got %d pushes, want 3", len(all))
		}
		p := all[1]
		if p.Number != 2 || p.Connection != 1 || p.Stream != 3 || p.Attempt != 2 || p.DeviceToken != phone ||
			string(p.Body) != payload || p.BodyBytes != len(payload) || p.Value("apns-topic") != topic ||
			p.Value("content-length") != strconv.Itoa(len(payload)) || p.Method != "POST" || !p.Arrived.Equal(time.Now()) {
			t.Errorf("got %+v", p)
		}
		if got := t.g.Processed()[p.Key()]; got != 2 {
			t.Errorf("processed %d times, want 2", got)
		}
		if got := t.g.Counts(); got.Processed != 3 || got.Doubled != 1 || got.Pushes != 3 || got.Opened != 1 || got.Closed != 0 {
			t.Errorf("got %+v", got)
		}
	})
}
