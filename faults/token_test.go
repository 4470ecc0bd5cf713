package faults_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/faults"
)

// table returns the first cells of each row of the table below a heading.
func table(t *testing.T, page, heading string, row *regexp.Regexp) [][]string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", page, heading)
	}
	section, _, _ := strings.Cut(rest, "\n## ")
	var rows [][]string
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		rows = append(rows, m[1:])
	}
	return rows
}

// Every reason of a device push has a token, and no other has.
func TestEveryReasonHasAToken(t *testing.T) {
	var want []string
	for _, cells := range table(t, "../docs/protocol/provider.md", "Reasons", regexp.MustCompile("(?m)^\\| \\d{3} \\| `(\\w+)` \\|")) {
		want = append(want, cells[0])
	}
	var got []string
	for _, r := range faults.Reasons() {
		got = append(got, string(r))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-docs/protocol/provider.md +tokens):\n%s", diff)
	}
	if token, ok := faults.ReasonToken("NoSuchReason"); ok {
		t.Errorf("NoSuchReason: got %s, want none", token.Hex())
	}
}

// The page lists the tokens that have a name.
func TestTokensAreDocumented(t *testing.T) {
	got := make(map[string]string)
	for _, cells := range table(t, "../docs/faults.md", "Magic device tokens", regexp.MustCompile("(?m)^\\| `(\\w+)` \\| `(fa17…\\w{8})` \\|")) {
		got[cells[0]] = cells[1]
	}
	want := make(map[string]string)
	for _, m := range faults.MagicTokens() {
		want[m.Name] = "fa17…" + m.Token.Hex()[56:]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-code +docs/faults.md):\n%s", diff)
	}
}

// Each token is of its own, of the size of a genuine one, and means what it says.
func TestMagicTokens(t *testing.T) {
	sim := faults.New(faults.Config{MagicDeviceTokens: true})
	off := faults.New(faults.Config{})
	others := map[string]string{
		"accept": "lose", "accept_1s": "delay 1s, lose", "accept_10s": "delay 10s, lose", "silence": "silence",
		"reset": "reset stream INTERNAL_ERROR", "refused_stream": "reset stream REFUSED_STREAM", "goaway": "lose, goaway NO_ERROR Shutdown",
	}
	seen := make(map[apns.DeviceToken]string)
	for _, m := range faults.MagicTokens() {
		if len(m.Token) != 32 || !strings.HasPrefix(m.Token.Hex(), strings.Repeat("fa17", 14)) || m.About == "" {
			t.Errorf("%s: got %s, %q", m.Name, m.Token.Hex(), m.About)
		}
		if other, taken := seen[m.Token]; taken {
			t.Errorf("%s has the token of %s", m.Name, other)
		}
		seen[m.Token] = m.Name
		ev := faults.Event{Kind: faults.Requested, Now: start, DeviceToken: m.Token}
		if got := off.Decide(ev); !got.IsNone() {
			t.Errorf("%s, where magic device tokens are off: got %v", m.Name, got)
		}
		f := sim.Decide(ev)
		if r := apns.Reason(m.Name); r.Sentence() != "" {
			checkRejection(t, f, r)
		} else if got, want := f.String(), others[m.Name]; got != want {
			t.Errorf("%s: got %s, want %s", m.Name, got, want)
		}
	}
}

// checkRejection checks that a fault refuses as the service would.
func checkRejection(t *testing.T, f faults.Fault, r apns.Reason) {
	t.Helper()
	if f.Answer != faults.Reject || f.Rejection.Reason != r || f.Rejection.Status != r.Status() {
		t.Errorf("%s: got %v", r, f)
		return
	}
	if got, want := !f.Rejection.Since.IsZero(), r.Status() == 410; got != want {
		t.Errorf("%s: has a timestamp: got %v, want %v", r, got, want)
	}
	if got, want := f.Rejection.RetryAfter > 0, r.Status() == 429 || r.Status() == 503; got != want {
		t.Errorf("%s: has a retry-after: got %v, want %v", r, got, want)
	}
}

// What only looks like a magic device token is none.
func TestNoMagic(t *testing.T) {
	sim := faults.New(faults.Config{MagicDeviceTokens: true})
	word := strings.Repeat("fa17", 14)
	for name, hex := range map[string]string{
		"short":           word,
		"long":            word + "0410000200",
		"another word":    strings.Repeat("fa18", 14) + "04100002",
		"no such number":  word + "04100009",
		"no such status":  word + "04180001",
		"not a time":      word + "0200000a",
		"too long a time": word + "02003601",
		"no such code":    word + "0003000e",
		"silence, twice":  word + "00000001",
		"all f":           word + "ffffffff",
	} {
		token, err := apns.ParseDeviceToken(hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := sim.Decide(faults.Event{Kind: faults.Requested, Now: start, DeviceToken: token}); !got.IsNone() {
			t.Errorf("%s: got %v, want none", name, got)
		}
	}
	for seconds, want := range map[int]time.Duration{-1: 0, 7: 7 * time.Second, 3600: time.Hour, 1 << 40: time.Hour} {
		got := sim.Decide(faults.Event{Kind: faults.Requested, Now: start, DeviceToken: faults.AcceptToken(seconds)})
		if got.Delay != want || got.Answer != faults.Lose {
			t.Errorf("AcceptToken(%d): got %v, want a delay of %v", seconds, got, want)
		}
	}
}
