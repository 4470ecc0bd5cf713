package payload_test

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient/payload"
)

func nan() float64 { return math.NaN() }

// overhead is what surrounds the body of fitBody.
const overhead = len(`{"aps":{"alert":""}}`)

// fitBody returns what is left of a body where it may have n bytes in JSON.
func fitBody(t *testing.T, body string, n int) string {
	t.Helper()
	p, err := payload.APS{Alert: payload.Alert{Body: body}}.Fit(overhead + n)
	if err != nil {
		t.Fatalf("%q in %d bytes: %v", body, n, err)
	}
	a, err := apns.ParseAlert(p)
	if err != nil {
		t.Fatal(err)
	}
	return a.Body
}

func TestFitBorders(t *testing.T) {
	const (
		family = "\U0001F468\u200d\U0001F469\u200d\U0001F467" // 18 bytes, one to see
		german = "\U0001F1E9\U0001F1EA"                       // 8 bytes
		wave   = "\U0001F44B\U0001F3FD"                       // 8 bytes
	)
	for _, tt := range []struct {
		name string
		body string
		n    int
		want string
	}{
		{"fits", "Hello", 5, "Hello"},
		{"cut", "Hello, world", 10, "Hello,…"},
		{"space before the cut", "Hello world", 9, "Hello…"},
		{"whole of a short text", "Hello", 4, "H…"},
		{"nothing but the ellipsis", "Hello", 3, "…"},
		{"rune", "日本語日本語", 11, "日本…"},
		{"accent", "cafe\u0301s are open", 8, "caf…"},
		{"accent kept", "cafe\u0301s are open", 9, "cafe\u0301…"},
		{"family", "ab" + family + "cdefg", 22, "ab…"},
		{"family kept", "ab" + family + "cdefg", 23, "ab" + family + "…"},
		{"flags", german + german + german, 19, german + german + "…"},
		{"flags, one letter more", german + german + german, 23, german + german + "…"},
		{"skin colour", wave + wave, 14, wave + "…"},
		{"variation selector", "aaaaa\u2764\ufe0f", 10, "aaaaa…"},
		{"hangul letters", "\u1112\u1161\u11ab\u1112\u1161\u11ab", 17, "\u1112\u1161\u11ab…"},
		{"line end", "abcdef\r\nxyz", 11, "abcdef…"},
		{"escapes", `""""""`, 11, `""""…`},
		{"ellipsis is no shorter", "日", 3, "日"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fitBody(t, tt.body, tt.n); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFitNamed(t *testing.T) {
	long := strings.Repeat("x", 100)
	message := payload.APS{
		Alert:  payload.Alert{Title: long, LocKey: "MESSAGE", LocArgs: []string{"Sam", long}},
		Custom: map[string]any{"text": long, "id": 7},
	}
	whole, err := message.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		less  int
		names []string
		want  string // how much is left of title, argument and custom key
	}{
		{"an argument", 50, []string{"aps.alert.loc-args[1]"}, "100 47… 100"},
		{"a custom key", 50, []string{"text"}, "100 100 47…"},
		{"one after the other", 150, []string{"aps.alert.title", "text", "aps.alert.loc-args[1]"}, "0… 100 44…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := message.Fit(len(whole)-tt.less, tt.names...)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(whole)-tt.less {
				t.Errorf("got %d bytes, want %d", len(got), len(whole)-tt.less)
			}
			var d struct {
				APS struct {
					Alert struct {
						Title string
						Args  []string `json:"loc-args"`
					}
				}
				Text string
			}
			if err := json.Unmarshal(got, &d); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, strings.Join([]string{lengthOf(d.APS.Alert.Title), lengthOf(d.APS.Alert.Args[1]), lengthOf(d.Text)}, " ")); d != "" {
				t.Errorf("what is left (-want +got):\n%s", d)
			}
		})
	}
	after, err := message.Marshal()
	if err != nil || string(after) != string(whole) {
		t.Errorf("the message changed: %s, %v", after, err)
	}
}

// lengthOf says how many letters are left of a text, and whether it was cut.
func lengthOf(s string) string {
	kept, cut := strings.CutSuffix(s, "…")
	length := strconv.Itoa(len(kept))
	if cut {
		length += "…"
	}
	return length
}

func TestFitRefused(t *testing.T) {
	message := payload.APS{Alert: payload.Alert{Body: "Hello"}, Custom: map[string]any{"id": 7}}
	_, err := message.Fit(10)
	large, ok := errors.AsType[*payload.TooLargeError](err)
	if !ok || large.Limit != 10 || large.Bytes != len(`{"aps":{"alert":"…"},"id":7}`) {
		t.Errorf("got %v, want a *payload.TooLargeError of the payload without a body", err)
	}
	p, err := message.Fit(4096, "id")
	checkRefused(t, p, err, "id", "there is no such text to cut: name one of aps.alert.body, aps.alert.subtitle, aps.alert.title, or a custom key whose value is a string")
	message.Badge = new(-1)
	p, err = message.Fit(10)
	checkRefused(t, p, err, "aps.badge", "a badge is not negative: give 0 to clear it, or nil to leave it as it is")
}

func TestFitLiveActivity(t *testing.T) {
	l := update
	l.Alert = payload.Alert{Title: "T", Body: strings.Repeat("é", 3000)}
	p, err := l.Fit(apns.MaxBroadcastBytes)
	if err != nil {
		t.Fatal(err)
	}
	if len(p) > apns.MaxBroadcastBytes || len(p) < apns.MaxBroadcastBytes-1 {
		t.Errorf("got %d bytes, want %d or one less", len(p), apns.MaxBroadcastBytes)
	}
}

// checkFit holds what Fit promises against any text and limit.
func checkFit(t interface{ Errorf(string, ...any) }, body string, limit int) {
	message := payload.APS{Alert: payload.Alert{Title: "T", Body: body}, Custom: map[string]any{"a": body}}
	whole, wrong := message.Marshal()
	p, err := message.Fit(limit)
	switch _, tooLarge := errors.AsType[*payload.TooLargeError](err); {
	case wrong != nil:
		if err == nil {
			t.Errorf("%q: got a payload, want %v", body, wrong)
		}
		return
	case tooLarge:
		message.Alert.Body = "…"
		if shortest, err := message.Marshal(); err != nil || limit >= min(len(whole), len(shortest)) {
			t.Errorf("%q does not fit in %d bytes, want it to", body, limit)
		}
		return
	case err != nil:
		t.Errorf("%q in %d bytes: %v", body, limit, err)
		return
	}
	a, err := apns.ParseAlert(p)
	if err != nil {
		t.Errorf("%q in %d bytes: %v", body, limit, err)
		return
	}
	kept, cut := strings.CutSuffix(a.Body, "…")
	switch {
	case len(p) > limit:
		t.Errorf("%q: got %d bytes, want at most %d", body, len(p), limit)
	case len(whole) <= limit && string(p) != string(whole):
		t.Errorf("%q was cut, and it fits in %d bytes", body, limit)
	case a.Body == body:
	case !cut || !strings.HasPrefix(body, kept):
		t.Errorf("%q became %q", body, a.Body)
	case !utf8.ValidString(kept) || strings.HasSuffix(kept, "\u200d"):
		t.Errorf("%q was cut inside a character: %q", body, a.Body)
	default:
		next, _ := utf8.DecodeRuneInString(strings.TrimLeft(body[len(kept):], " \t\r\n"))
		if kept != "" && body[len(kept)] > ' ' && (unicode.Is(unicode.M, next) || next == 0x200d) {
			t.Errorf("%q was cut before %q: %q", body, next, a.Body)
		}
	}
}

func TestFitProperties(t *testing.T) {
	letter := rapid.OneOf(
		rapid.RuneFrom([]rune("ab \n\"\\<&é日\u0301\u200d\ufe0f\u2028\u1112\u1161\U0001F469\U0001F3FD\U0001F1E9\U0001F1EA\U000E0062\x00")),
		rapid.Rune(),
	)
	rapid.Check(t, func(t *rapid.T) {
		checkFit(t, rapid.StringOf(letter).Draw(t, "body"), rapid.IntRange(-1, 500).Draw(t, "limit"))
	})
}

func FuzzFit(f *testing.F) {
	for _, s := range []string{
		"", "Hello, world", "日本語", "cafe\u0301", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F1E9\U0001F1EA", "\u1112\u1161\u11ab",
		"\"\\\n\x00\u2028<&>", "\xff", "a\u0301\u0301\u0301", strings.Repeat("x", 300),
	} {
		f.Add(s, 60)
	}
	f.Fuzz(func(t *testing.T, body string, limit int) { checkFit(t, body, limit) })
}
