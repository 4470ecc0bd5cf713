package apnsclient

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

func TestNewProviderTokensRefuses(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		team apns.TeamID
		id   apns.KeyID
		key  *ecdsa.PrivateKey
		want string
	}{
		{"no key", "ABCDE12345", "2X9R4HXF34", nil, "credential.ParseP8"},
		{"other curve", "ABCDE12345", "2X9R4HXF34", other, "P-384"},
		{"no team", "", "2X9R4HXF34", newKey(t), "no team ID"},
		{"no key ID", "ABCDE12345", "", newKey(t), "no key ID"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewProviderTokens(tt.team, tt.id, tt.key)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestProviderTokensPrintNoSecret(t *testing.T) {
	p := newTokens(t)
	current, err := p.get(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	secret := fmt.Sprint(p.key.key.D) //nolint:staticcheck // the very thing that must not be printed
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("sending", slog.Any("tokens", p))
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", p, p, p, p), log.String()} {
		if strings.Contains(s, secret) || strings.Contains(s, current) || !strings.Contains(s, "2X9R4HXF34") {
			t.Errorf("got %q, want the key ID and no secret", s)
		}
	}
}

// tokensSeen remembers the provider tokens that a gateway has seen, in order.
type tokensSeen struct {
	mu   sync.Mutex
	list []string // each once; guarded by mu
}

func (s *tokensSeen) add(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.list, token) {
		s.list = append(s.list, token)
	}
}

func (s *tokensSeen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// Many senders at a time make one token, and the next only after 50 minutes.
func TestOneTokenIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen tokensSeen
		handler := func(w http.ResponseWriter, r *http.Request) {
			seen.add(bearer(r))
			accept(w, r)
		}
		g := newGateway(t).serve(t, handler)
		cfg := g.withKey(t)
		senders := []*Sender{newSender(t, cfg), newSender(t, cfg)}
		push := func() {
			t.Helper()
			var wg sync.WaitGroup
			for _, s := range senders {
				for range 20 {
					wg.Go(func() {
						if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
		}
		steps := []struct {
			after time.Duration
			want  int
		}{{0, 1}, {49 * time.Minute, 1}, {time.Minute, 2}, {40 * time.Minute, 2}, {time.Hour, 3}}
		for _, step := range steps {
			time.Sleep(step.after)
			if push(); seen.count() != step.want {
				t.Errorf("after another %v got %d provider tokens, want %d", step.after, seen.count(), step.want)
			}
		}
	})
}

// expiring refuses provider tokens that are older than limit.
func expiring(t *testing.T, seen *tokensSeen, limit time.Duration) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		seen.add(bearer(r))
		token, err := credential.ParseProviderToken(bearer(r))
		if err != nil {
			t.Error(err)
		}
		if time.Since(token.IssuedAt) > limit {
			reply(w, r, 403, `{"reason":"ExpiredProviderToken"}`)
			return
		}
		accept(w, r)
	}
}

func TestExpiredProviderTokenIsReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen tokensSeen
		g := newGateway(t).serve(t, expiring(t, &seen, 30*time.Minute))
		s := newSender(t, g.withKey(t))
		if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Minute)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if seen.count() != 2 {
			t.Errorf("got %d provider tokens, want 2", seen.count())
		}
		if n := g.links.Load(); n != 2 {
			t.Errorf("got %d connections, want a second one after the refusal", n)
		}
	})
}

// A token that is refused although it is young, and made by the gateway's clock, is
// not replaced: that would only bring TooManyProviderTokenUpdates.
func TestYoungProviderTokenIsNotReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen tokensSeen
		g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
			seen.add(bearer(r))
			w.Header().Set("Date", time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat))
			reply(w, r, 403, `{"reason":"ExpiredProviderToken"}`)
		})
		s := newSender(t, g.withKey(t))
		for range 3 {
			_, err := s.Push(t.Context(), deviceToken, hello)
			var refused *apns.Rejection
			if !errors.As(err, &refused) || refused.Reason != apns.ExpiredProviderToken {
				t.Fatalf("got %v, want ExpiredProviderToken", err)
			}
			if want := "the clock of this machine is 2h0m0s behind the gateway's"; refused.Detail != want {
				t.Errorf("got detail %q, want %q", refused.Detail, want)
			}
			time.Sleep(5 * time.Minute)
		}
		if seen.count() != 2 || g.requests.Load() != 4 { // the second with the gateway's time
			t.Errorf("got %d provider tokens in %d requests, want 2 in 4", seen.count(), g.requests.Load())
		}
		// Old enough now: one more is made, and one more request with it.
		time.Sleep(10 * time.Minute)
		if _, err := s.Push(t.Context(), deviceToken, hello); !errors.Is(err, apns.Reject(apns.ExpiredProviderToken, "")) {
			t.Errorf("got %v, want ExpiredProviderToken", err)
		}
		if seen.count() != 3 || g.requests.Load() != 6 {
			t.Errorf("got %d provider tokens in %d requests, want 3 in 6", seen.count(), g.requests.Load())
		}
	})
}

func TestTooManyProviderTokenUpdatesHoldsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen tokensSeen
		var refuse bool
		g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
			seen.add(bearer(r))
			if refuse {
				reply(w, r, 429, `{"reason":"TooManyProviderTokenUpdates"}`)
				return
			}
			accept(w, r)
		})
		s := newSender(t, g.withKey(t))
		push := func(want apns.Reason) {
			t.Helper()
			refuse = want != ""
			if _, err := s.Push(t.Context(), deviceToken, hello); want == "" && err != nil ||
				want != "" && !errors.Is(err, apns.Reject(want, "")) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		push("")
		time.Sleep(45 * time.Minute)
		push(apns.TooManyProviderTokenUpdates)
		time.Sleep(19 * time.Minute) // the token is 64 minutes old
		if push(""); seen.count() != 1 {
			t.Errorf("got %d provider tokens inside the time of waiting, want 1", seen.count())
		}
		time.Sleep(time.Minute)
		if push(""); seen.count() != 2 {
			t.Errorf("got %d provider tokens after it, want 2", seen.count())
		}
	})
}

// A sender whose clock is wrong by hours finds the gateway's time, and goes on.
func TestWrongClock(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ahead time.Duration // the gateway's clock
	}{{"behind", 3 * time.Hour}, {"ahead", -3 * time.Hour}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen tokensSeen
				g := newGateway(t).serve(t, func(w http.ResponseWriter, r *http.Request) {
					seen.add(bearer(r))
					token, err := credential.ParseProviderToken(bearer(r))
					if err != nil {
						t.Error(err)
					}
					now := time.Now().Add(tt.ahead)
					w.Header().Set("Date", dateOf(now))
					switch age := now.Sub(token.IssuedAt); {
					case age > time.Hour:
						reply(w, r, 403, `{"reason":"ExpiredProviderToken"}`)
					case age < -time.Hour:
						reply(w, r, 403, `{"reason":"InvalidProviderToken"}`)
					default:
						accept(w, r)
					}
				})
				cfg := g.withKey(t)
				s := newSender(t, cfg)
				for range 5 {
					if _, err := s.Push(t.Context(), deviceToken, hello); err != nil {
						t.Error(err)
					}
					time.Sleep(25 * time.Minute)
				}
				// One was refused; the others are those of the hours.
				if n := g.requests.Load(); n != 6 || seen.count() != 4 {
					t.Errorf("got %d provider tokens in %d requests, want 4 in 6", seen.count(), n)
				}
				if got := cfg.ProviderTokens.ClockSkew(); got != -tt.ahead {
					t.Errorf("got skew %v, want %v", got, -tt.ahead)
				}
			})
		})
	}
}

// What another token mends, and what it does not.
func TestRefusedTokens(t *testing.T) {
	const hour = time.Hour
	for _, tt := range []struct {
		name   string
		age    time.Duration // of the token that is refused
		hold   bool          // tokens changed too often, just now
		reason apns.Reason
		ahead  time.Duration // of the gateway's clock; zero for no date
		want   bool          // another token
		skew   time.Duration
	}{
		{"young", 19 * time.Minute, false, apns.ExpiredProviderToken, 0, false, 0},
		{"old", 20 * time.Minute, false, apns.ExpiredProviderToken, 0, true, 0},
		{"old and held", 20 * time.Minute, true, apns.ExpiredProviderToken, 0, false, 0},
		{"young, clock behind", time.Second, false, apns.ExpiredProviderToken, 2 * hour, true, -2 * hour},
		{"young, clock ahead", time.Second, false, apns.InvalidProviderToken, -2 * hour, true, 2 * hour},
		{"young, clock behind, held", time.Second, true, apns.ExpiredProviderToken, 2 * hour, false, -2 * hour},
		{"young, clock a little behind", time.Second, false, apns.ExpiredProviderToken, 4 * time.Minute, false, 0},
		{"old, and invalid", 21 * time.Minute, false, apns.InvalidProviderToken, 0, false, 0},
		{"key revoked", 21 * time.Minute, false, apns.Forbidden, 2 * hour, false, 0},
		{"topic", 21 * time.Minute, false, apns.TopicDisallowed, 2 * hour, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTokens(t)
				first := mustGet(t, p)
				time.Sleep(tt.age)
				if tt.hold {
					mustRefuse(t, p, first, apns.TooManyProviderTokenUpdates, "", false)
				}
				date := ""
				if tt.ahead != 0 {
					date = dateOf(time.Now().Add(tt.ahead))
				}
				mustRefuse(t, p, first, tt.reason, date, tt.want)
				second := mustGet(t, p)
				if (second != first) != tt.want {
					t.Errorf("got another token %t, want %t", second != first, tt.want)
				}
				if got := p.ClockSkew(); got != tt.skew {
					t.Errorf("got skew %v, want %v", got, tt.skew)
				}
				if tt.want {
					signed, err := credential.ParseProviderToken(second)
					if want := time.Now().Add(-tt.skew); err != nil || !signed.IssuedAt.Equal(want.Truncate(time.Second)) {
						t.Errorf("got issued at %v, %v, want the gateway's time, %v", signed.IssuedAt, err, want)
					}
					// A straggler with the first token gets the second.
					mustRefuse(t, p, first, tt.reason, date, true)
					if got := mustGet(t, p); got != second {
						t.Error("got a third token for a straggler")
					}
				}
			})
		})
	}
}

// Gateways whose clocks differ do not have a token made with every push.
func TestClockIsCorrectedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTokens(t)
		made := 0
		token := mustGet(t, p)
		for n := range 40 {
			ahead := 2 * time.Hour
			if n%2 == 0 {
				ahead = -ahead
			}
			if again, err := p.refused(token, apns.ExpiredProviderToken, dateOf(time.Now().Add(ahead))); err != nil {
				t.Fatal(err)
			} else if again {
				made++
			}
			token = mustGet(t, p)
			time.Sleep(time.Minute)
		}
		if made != 2 {
			t.Errorf("got %d tokens in 40 minutes, want 2", made)
		}
	})
}

// Once the clock was set, what was known of it is worth nothing.
func TestClockThatWasSet(t *testing.T) {
	var r clockReading
	now := time.Now()
	if got := r.skew(now); got != 0 {
		t.Errorf("before any answer: got %v, want 0", got)
	}
	r.read("no date", now)
	if got := r.skew(now); got != 0 {
		t.Errorf("without a date: got %v, want 0", got)
	}
	r.read(dateOf(now.Add(-time.Hour)), now)
	if got := r.skew(now.Add(time.Minute)).Round(time.Minute); got != time.Hour {
		t.Errorf("got %v, want an hour", got)
	}
	r.wall = r.wall.Add(time.Hour) // it was set back by an hour
	if got := r.skew(now.Add(time.Minute)); got != 0 {
		t.Errorf("after it was set: got %v, want 0", got)
	}
}

func dateOf(at time.Time) string { return at.UTC().Format(http.TimeFormat) }

func mustGet(t *testing.T, p *ProviderTokens) string {
	t.Helper()
	token, err := p.get(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func mustRefuse(t *testing.T, p *ProviderTokens, token string, reason apns.Reason, date string, want bool) {
	t.Helper()
	if again, err := p.refused(token, reason, date); again != want || err != nil {
		t.Errorf("%s: got another token %t, %v, want %t", reason, again, err, want)
	}
}

func TestProviderTokenCostsNothing(t *testing.T) {
	p := newTokens(t)
	mustGet(t, p)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.get(time.Now()); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkProviderToken(b *testing.B) {
	key, err := credential.NewProviderKey()
	if err != nil {
		b.Fatal(err)
	}
	p, err := NewProviderTokens("ABCDE12345", "2X9R4HXF34", key)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.get(time.Now()); err != nil {
				b.Error(err)
			}
		}
	})
}
