package faults_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/faults"
)

// everything is a plan that has all there is.
const everything = `{
	"name": "all", "seed": 18446744073709551615,
	"rules": [
		{"name": "a", "fault": "reject", "reason": "Unregistered", "since": "24h", "share": 0.01, "match": {"environment": "sandbox", "topics": ["com.example.demo"], "teams": ["ABCDE12345"], "connections": 0.5}, "from": "1s", "until": "10m", "limit": 100},
		{"fault": "reject", "reason": "ServiceUnavailable", "retry_after": "15m"},
		{"fault": "lose"}, {"fault": "silence"}, {"fault": "reset_stream", "code": "REFUSED_STREAM"}, {"fault": "clock_skew", "skew": "-2h"},
		{"fault": "delay", "delay": {"fixed": "100ms"}}, {"fault": "delay", "delay": {"uniform": ["10ms", "500ms"]}},
		{"fault": "delay", "delay": {"percentiles": {"50": "20ms", "99.9": "2s"}}},
		{"fault": "goaway", "after": 1000, "reason": "Shutdown", "code": "NO_ERROR"},
		{"fault": "stream_limit", "streams": 1}, {"fault": "reset_connection", "after": 3}, {"fault": "black_hole"}
	]
}`

// A plan is the same after it was written and read again.
func TestPlanRoundTrip(t *testing.T) {
	p := mustParse(t, everything)
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := faults.Parse(b)
	if err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	if diff := cmp.Diff(p, again); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}

// The example of the page is a plan, and shows every fault.
func TestExample(t *testing.T) {
	b, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```json\n")
	text, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/faults.md has no example")
	}
	shown := make(map[faults.Kind]bool)
	for _, r := range mustParse(t, text).Rules {
		shown[r.Fault] = true
	}
	for _, r := range mustParse(t, everything).Rules {
		if !shown[r.Fault] {
			t.Errorf("the example has no %s", r.Fault)
		}
	}
}

// Each error names the field, the problem and the remedy.
func TestPlanErrors(t *testing.T) {
	rule := func(fields string) string { return `{"rules":[{"fault":"lose"},{` + fields + `}]}` }
	for _, tt := range []struct{ name, text, field, problem string }{
		{"nothing", ``, "", "not a JSON object"},
		{"null", `null`, "", "not a JSON object"},
		{"list", `[]`, "", "not a JSON object"},
		{"broken", `{"rules":[}`, "", "at byte 11"},
		{"two", `{} {}`, "", "not a JSON object"},
		{"too long", strings.Repeat(" ", faults.MaxPlanBytes) + `{}`, "", "more than"},
		{"unknown field", `{"rule":[]}`, "rule", "no such field"},
		{"name", `{"name":7}`, "name", "takes no number"},
		{"long name", `{"name":"` + strings.Repeat("x", 101) + `","rules":[{"fault":"lose"}]}`, "name", "too long"},
		{"seed", `{"seed":-1}`, "seed", "takes no number -1"},
		{"rules", `{"rules":{}}`, "rules", "not a list"},
		{"no rules", `{"rules":[]}`, "rules", "there is none"},
		{"many rules", `{"rules":[` + strings.Repeat(`{},`, 100) + `{}]}`, "rules", "there are 101"},
		{"rule", `{"rules":[7]}`, "rules[0]", "not a JSON object"},
		{"rule field", rule(`"fault":"lose","chance":1`), "rules[1].chance", "no such field"},
		{"no fault", rule(``), "rules[1].fault", `"" is none`},
		{"fault", rule(`"fault":"earthquake"`), "rules[1].fault", `"earthquake" is none`},
		{"long rule name", rule(`"fault":"lose","name":"` + strings.Repeat("x", 101) + `"`), "rules[1].name", "too long"},
		{"no share", rule(`"fault":"lose","share":0`), "rules[1].share", "0 is no share"},
		{"percent", rule(`"fault":"lose","share":2`), "rules[1].share", "2 is no share"},
		{"share", rule(`"fault":"lose","share":"2%"`), "rules[1].share", "takes no string"},
		{"from", rule(`"fault":"lose","from":"soon"`), "rules[1].from", `"soon" is no duration`},
		{"from, a number", rule(`"fault":"lose","from":5`), "rules[1].from", "takes no number"},
		{"negative", rule(`"fault":"lose","from":"-1s"`), "rules[1].from", "out of range"},
		{"never", rule(`"fault":"lose","from":"2s","until":"1s"`), "rules[1].until", "never acts"},
		{"limit", rule(`"fault":"lose","limit":1.5`), "rules[1].limit", "takes no number"},
		{"no reason", rule(`"fault":"reject"`), "rules[1].reason", "missing"},
		{"reason", rule(`"fault":"reject","reason":"unregistered"`), "rules[1].reason", "no reason of a device push"},
		{"reason of lose", rule(`"fault":"lose","reason":"Unregistered"`), "rules[1].reason", "no such field"},
		{"since", rule(`"fault":"reject","reason":"BadTopic","since":"1h"`), "rules[1].since", "no timestamp"},
		{"retry", rule(`"fault":"reject","reason":"BadTopic","retry_after":"1h"`), "rules[1].retry_after", "status 400"},
		{"code", rule(`"fault":"reset_stream","code":"OOPS"`), "rules[1].code", `"OOPS" is no error code`},
		{"no delay", rule(`"fault":"delay"`), "rules[1].delay", "missing"},
		{"empty delay", rule(`"fault":"delay","delay":{}`), "rules[1].delay", "exactly one"},
		{"two delays", rule(`"fault":"delay","delay":{"fixed":"1s","uniform":["1s","2s"]}`), "rules[1].delay", "exactly one"},
		{"long delay", rule(`"fault":"delay","delay":{"fixed":"61m"}`), "rules[1].delay.fixed", "out of range"},
		{"uniform", rule(`"fault":"delay","delay":{"uniform":["1s"]}`), "rules[1].delay.uniform", "least and the greatest"},
		{"uniform, long", rule(`"fault":"delay","delay":{"uniform":["1s","2h"]}`), "rules[1].delay.uniform", "out of range"},
		{"uniform, turned", rule(`"fault":"delay","delay":{"uniform":["2s","1s"]}`), "rules[1].delay.uniform", "least and the greatest"},
		{"percentile", rule(`"fault":"delay","delay":{"percentiles":{"p50":"1s"}}`), "rules[1].delay.percentiles", `"p50" is no percentile`},
		{"percentile, NaN", rule(`"fault":"delay","delay":{"percentiles":{"NaN":"1s"}}`), "rules[1].delay.percentiles", `"NaN" is no percentile`},
		{"percentile twice", rule(`"fault":"delay","delay":{"percentiles":{"50":"1s","50.0":"2s"}}`), "rules[1].delay.percentiles", "there twice"},
		{"percentiles down", rule(`"fault":"delay","delay":{"percentiles":{"50":"2s","90":"1s"}}`), "rules[1].delay.percentiles", "less than"},
		{"percentiles, long", rule(`"fault":"delay","delay":{"percentiles":{"50":"2h"}}`), "rules[1].delay.percentiles", "out of range"},
		{"delay field", rule(`"fault":"delay","delay":{"normal":"1s"}`), "rules[1].delay.normal", "no such field"},
		{"no streams", rule(`"fault":"stream_limit","streams":0`), "rules[1].streams", "missing, or zero"},
		{"streams", rule(`"fault":"stream_limit","streams":1001`), "rules[1].streams", "1001 is no limit"},
		{"no skew", rule(`"fault":"clock_skew"`), "rules[1].skew", "missing"},
		{"skew", rule(`"fault":"clock_skew","skew":"-9000h"`), "rules[1].skew", "out of range"},
		{"after of lose", rule(`"fault":"lose","after":3`), "rules[1].after", "no such field"},
		{"match", rule(`"fault":"lose","match":[]`), "rules[1].match", "not a JSON object"},
		{"match field", rule(`"fault":"lose","match":{"topic":"a"}`), "rules[1].match.topic", "no such field"},
		{"environment", rule(`"fault":"lose","match":{"environment":"moon"}`), "rules[1].match.environment", `"moon"`},
		{"connections", rule(`"fault":"lose","match":{"connections":1.1}`), "rules[1].match.connections", "1.1 is no share"},
		{"empty topic", rule(`"fault":"lose","match":{"topics":["a",""]}`), "rules[1].match.topics[1]", "empty"},
		{"empty team", rule(`"fault":"lose","match":{"teams":[""]}`), "rules[1].match.teams[0]", "empty"},
		{"many topics", rule(`"fault":"lose","match":{"topics":[` + strings.Repeat(`"a",`, 100) + `"a"]}`), "rules[1].match.topics", "there are 101"},
		{"topics too early", rule(`"fault":"goaway","match":{"topics":["a"]}`), "rules[1].match.topics", "not known yet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := faults.Parse([]byte(tt.text))
			pe, ok := errors.AsType[*faults.PlanError](err)
			if !ok {
				t.Fatalf("got %v, want a PlanError", err)
			}
			if pe.Field != tt.field || !strings.Contains(pe.Problem, tt.problem) {
				t.Errorf("got %q: %q, want %q: %q", pe.Field, pe.Problem, tt.field, tt.problem)
			}
			if !strings.HasSuffix(pe.Remedy, ".") || !strings.Contains(pe.Error(), pe.Field) {
				t.Errorf("remedy %q, error %q", pe.Remedy, pe.Error())
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(`{"rules":[{"fault":"lose","share":1e-300}]}`))
	f.Add([]byte(`{"rules":[{"fault":"delay","delay":{"percentiles":{"1e-9":"0s","100":"1h"}}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := faults.Parse(b)
		if err != nil {
			if _, ok := errors.AsType[*faults.PlanError](err); !ok {
				t.Fatalf("got %T", err)
			}
			return
		}
		_ = p.String()
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := faults.Parse(text)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
		// Whatever a plan says, what it brings is within bounds.
		m, err := faults.NewMachine(p, start)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []faults.EventKind{faults.Opened, faults.Requested, faults.Requested, faults.Closed} {
			f := m.Decide(faults.Event{Kind: kind, Now: start, Number: 1, IssuedAt: start})
			if f.Delay < 0 || f.Delay > faults.MaxDelay || (f.Answer == faults.Reject) != (f.Rejection != nil) {
				t.Errorf("got %v", f)
			}
		}
	})
}
