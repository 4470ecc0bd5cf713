package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/credential"
)

// deviceTokens writes a file with as many lines as asked for, each a device token.
func deviceTokens(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: device-tokens FILE N DEVICETOKEN")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat(args[2]+"\n", n)), 0o600))
}

// longText sets a variable to a text of many letters.
func longText(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: long-text NAME N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Setenv(args[0], strings.Repeat("x", n))
}

// newChannel makes a channel that stores no message, and sets a variable to its ID.
func newChannel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 6 {
		ts.Fatalf("usage: new-channel NAME ADDRESS CA SERVERNAME CREDENTIAL TOPIC")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ts.ReadFile(args[2])))
	id, err := credential.ParseIdentityPEM([]byte(ts.ReadFile(args[4])))
	ts.Check(err)
	presented := id.TLS()
	channels, err := apnsclient.NewChannels(apnsclient.Config{
		Environment: apns.Sandbox, Host: args[1], ServerName: args[3], Roots: roots, Certificate: &presented, Timeout: waitLimit,
	})
	ts.Check(err)
	made, err := channels.Create(context.Background(), apns.Topic(args[5]), apns.NoMessageStored)
	ts.Check(errors.Join(err, channels.Close()))
	ts.Setenv(args[0], string(made))
}

// A file that somebody else keeps open does not keep a run from ending.
func TestInterruptible(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	over := errors.New("over")
	to := recipients{file: r, name: "a pipe"}
	if _, err := w.WriteString("740f\n"); err != nil {
		t.Fatal(err)
	}
	got := 0
	for p := range to.pushes(ctx, &apns.Notification{}) {
		if got++; p.To.Hex() != "740f" {
			t.Errorf("got %s", p.To.Hex())
		}
		cancel(over)
	}
	if got != 1 || to.err != nil {
		t.Errorf("got %d pushes and error %v, want 1 and none", got, to.err)
	}
}

func TestRecipients(t *testing.T) {
	const first, second = "740f4707", "<BEBC F74F>"
	for _, tt := range []struct {
		name, text string
		want       []string
		err        string
	}{
		{"nothing", "", nil, ""},
		{"two", first + "\n" + second + "\n", []string{"1 740f4707", "2 bebcf74f"}, ""},
		{"no line end", first, []string{"1 740f4707"}, ""},
		{"Windows", "\ufeff" + first + "\r\n\r\n" + second + "\r\n", []string{"1 740f4707", "3 bebcf74f"}, ""},
		{"comments", "# ours\n\n  " + first + "  \n#" + second, []string{"3 740f4707"}, ""},
		{"none", "hello\n" + first, []string{"1 the 1st character is 'h', which is no hex digit", "2 740f4707"}, ""},
		{"too long", first + "\n" + strings.Repeat("ab", 4096), []string{"1 740f4707"}, "tokens.txt: line 2 has more than 4096 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := t.TempDir() + "/tokens.txt"
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			to, err := pushCmd{Tokens: path}.recipients(sending{})
			if err != nil {
				t.Fatal(err)
			}
			defer to.close()
			to.name = "tokens.txt"
			var got []string
			for p := range to.pushes(t.Context(), &apns.Notification{}) {
				from, ok := p.Owner.(line)
				if !ok {
					t.Fatalf("got no line: %v", p.Owner)
				}
				what := p.To.Hex()
				if from.err != nil {
					what, _ = deviceTokenProblem(from.err)
				}
				got = append(got, strconv.Itoa(from.number)+" "+what)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("lines (-want +got):\n%s", d)
			}
			if (to.err == nil) != (tt.err == "") || to.err != nil && to.err.Error() != tt.err {
				t.Errorf("got error %v, want %q", to.err, tt.err)
			}
		})
	}
}

// What a gateway says does not make the summary grow without end.
func TestSummaryIsBounded(t *testing.T) {
	var s summary
	for i := range 1000 {
		s.note(pushed{Outcome: "rejected", outcome: apnsclient.Rejected, Status: 400, Reason: apns.Reason("No" + strconv.Itoa(i))})
	}
	if len(s.order) > maxKinds+1 || s.all != 1000 || s.failed != 1000 {
		t.Errorf("got %d kinds of %d, %d failed", len(s.order), s.all, s.failed)
	}
	var b bytes.Buffer
	if err := s.write(&b); err != nil {
		t.Fatal(err)
	}
	if want := "900     others  "; !strings.Contains(b.String(), want) {
		t.Errorf("got no %q in\n%s", want, b.String())
	}
}

// A run ends where going on is of no use.
func TestSummaryHopeless(t *testing.T) {
	unsent := pushed{Outcome: "connection fault", outcome: apnsclient.ConnectionFault}
	accepted := pushed{Outcome: "accepted", outcome: apnsclient.Accepted}
	var s summary
	for range maxInARow - 1 {
		s.note(unsent)
	}
	if why := s.hopeless(unsent); why != "" {
		t.Errorf("got %q after %d", why, s.all)
	}
	s.note(accepted)
	s.note(unsent)
	if why := s.hopeless(unsent); why != "" {
		t.Errorf("got %q after one was accepted", why)
	}
	for range maxInARow {
		s.note(unsent)
	}
	if why := s.hopeless(unsent); why == "" {
		t.Errorf("got no end after %d in a row", s.inARow)
	}
	refused := pushed{Outcome: "provider fault", outcome: apnsclient.ProviderFault}
	s.note(refused)
	if s.hopeless(refused) == "" {
		t.Error("got no end after a provider fault")
	}
}

func TestExpiration(t *testing.T) {
	now := time.Unix(1700000000, 0)
	for in, want := range map[string]apns.Expiration{"": {}, "0": apns.DoNotStore, "90m": apns.ExpiresAt(now.Add(90 * time.Minute))} {
		if got, err := expiration(in, now); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"-1h", "0s", "tomorrow", "1700000000"} {
		if got, err := expiration(in, now); err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
}
