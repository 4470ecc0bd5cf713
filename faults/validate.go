package faults

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// Bounds of a plan.
const (
	maxRules     = 100
	maxNameBytes = 100
	maxMatches   = 100 // topics, and teams
	// MaxDelay bounds a delay.
	MaxDelay = time.Hour
	// maxSpan bounds the other durations, so that no sum overflows.
	maxSpan = 366 * 24 * time.Hour
	// maxStreams is the limit that a connection has without faults.
	maxStreams = 1000
)

func tooManyRules(n int) *PlanError {
	return &PlanError{"rules", fmt.Sprintf("there are %d", n), fmt.Sprintf("At most %d are possible.", maxRules)}
}

// Validate reports what is wrong with p, as a *PlanError.
func (p Plan) Validate() error {
	switch {
	case len(p.Name) > maxNameBytes:
		return tooLong("name")
	case len(p.Rules) == 0:
		return &PlanError{"rules", "there is none", `Write one, such as {"fault": "silence", "share": 0.01}; to end all faults, delete the plan.`}
	case len(p.Rules) > maxRules:
		return tooManyRules(len(p.Rules))
	}
	for i := range p.Rules {
		if e := p.Rules[i].validate(); e != nil {
			e.Field = fmt.Sprintf("rules[%d].%s", i, e.Field)
			return e
		}
	}
	return nil
}

func tooLong(field string) *PlanError {
	return &PlanError{field, "it is too long", fmt.Sprintf("At most %d bytes are possible.", maxNameBytes)}
}

func (r *Rule) validate() *PlanError {
	if !slices.Contains(kinds[:], r.Fault) {
		var names []string
		for _, k := range kinds {
			names = append(names, string(k))
		}
		return &PlanError{"fault", fmt.Sprintf("%.40q is none", r.Fault), "The faults are " + strings.Join(names, ", ") + "."}
	}
	if len(r.Name) > maxNameBytes {
		return tooLong("name")
	}
	for _, check := range []func() *PlanError{r.checkFields, r.checkWhen, r.checkMatch, r.checkReason, r.checkRest} {
		if e := check(); e != nil {
			return e
		}
	}
	return nil
}

// checkFields finds fields that the kind of the rule has no use for, and those
// that it lacks.
func (r *Rule) checkFields() *PlanError {
	for _, f := range []struct {
		name     string
		set      bool
		of       []Kind
		required bool
	}{
		{"reason", r.Reason != "", []Kind{KindReject, KindGoAway}, r.Fault == KindReject},
		{"since", r.Since != 0, []Kind{KindReject}, false},
		{"retry_after", r.RetryAfter != 0, []Kind{KindReject}, false},
		{"code", r.Code != nil, []Kind{KindResetStream, KindGoAway}, false},
		{"delay", r.Delay != nil, []Kind{KindDelay}, true},
		{"streams", r.Streams != 0, []Kind{KindStreamLimit}, true},
		{"skew", r.Skew != 0, []Kind{KindClockSkew}, true},
		{"after", r.After != 0, []Kind{KindGoAway, KindStreamLimit, KindResetConnection, KindBlackHole}, false},
	} {
		switch has := slices.Contains(f.of, r.Fault); {
		case f.set && !has:
			return &PlanError{f.name, fmt.Sprintf("%s has no such field", r.Fault), fmt.Sprintf("Leave it out; it is of %s.", kindList(f.of))}
		case !f.set && has && f.required:
			return &PlanError{f.name, "it is missing, or zero", fmt.Sprintf("%s needs it.", r.Fault)}
		}
	}
	return nil
}

func kindList(of []Kind) string {
	var names []string
	for _, k := range of {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// checkWhen checks when, and how often, the rule acts.
func (r *Rule) checkWhen() *PlanError {
	if e := checkShare("share", r.Share); e != nil {
		return e
	}
	for _, d := range []struct {
		name string
		d    Duration
	}{{"from", r.From}, {"until", r.Until}, {"since", r.Since}, {"retry_after", r.RetryAfter}} {
		if d.d < 0 || time.Duration(d.d) > maxSpan {
			return &PlanError{d.name, fmt.Sprintf("%v is out of range", d.d), "Write a duration from 0 to 8784h."}
		}
	}
	if r.Until != 0 && r.Until <= r.From {
		return &PlanError{"until", "it is not after from, so that the rule never acts", "Both count from when the plan comes into force."}
	}
	return nil
}

func checkShare(field string, p *float64) *PlanError {
	if p != nil && !(*p > 0 && *p <= 1) { // NaN is neither
		return &PlanError{field, fmt.Sprintf("%v is no share", *p), "Write one above 0 and up to 1, such as 0.02 for 2 %, or leave it out for all."}
	}
	return nil
}

func (r *Rule) checkMatch() *PlanError {
	m := r.Match
	if e := checkShare("match.connections", m.Connections); e != nil {
		return e
	}
	for field, n := range map[string]int{"match.topics": len(m.Topics), "match.teams": len(m.Teams)} {
		if n > maxMatches {
			return &PlanError{field, fmt.Sprintf("there are %d", n), fmt.Sprintf("At most %d are possible.", maxMatches)}
		}
		if n > 0 && r.Fault.ofConnection() && r.After == 0 {
			return &PlanError{field, "it is not known yet when a connection is opened", `Add "after": 1, so that the fault comes with the first request.`}
		}
	}
	for i, t := range m.Topics {
		if t == "" {
			return &PlanError{fmt.Sprintf("match.topics[%d]", i), "it is empty", "Write a topic, such as com.example.demo."}
		}
	}
	for i, t := range m.Teams {
		if t == "" {
			return &PlanError{fmt.Sprintf("match.teams[%d]", i), "it is empty", "Write a team ID, such as ABCDE12345."}
		}
	}
	return nil
}

func (r *Rule) checkReason() *PlanError {
	if r.Reason == "" {
		return nil
	}
	if _, ok := numbers[r.Reason]; !ok {
		return &PlanError{"reason", fmt.Sprintf("%.40q is no reason of a device push", r.Reason), "docs/faults.md lists them; the letter case counts."}
	}
	status := r.Reason.Status()
	if r.Since != 0 && status != http.StatusGone {
		return &PlanError{"since", fmt.Sprintf("%s has no timestamp", r.Reason), "Leave it out; it is of Unregistered and ExpiredToken."}
	}
	if r.RetryAfter != 0 && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return &PlanError{"retry_after", fmt.Sprintf("%s has status %d", r.Reason, status), "Leave it out; it is of the statuses 429 and 503."}
	}
	return nil
}

func (r *Rule) checkRest() *PlanError {
	switch {
	case r.Code != nil && !r.Code.known():
		return &PlanError{"code", fmt.Sprintf("%v is none", *r.Code), remedyFor(&r.Code)}
	case r.Streams > maxStreams:
		return &PlanError{"streams", fmt.Sprintf("%d is no limit", r.Streams), fmt.Sprintf("Write one from 1 to %d.", maxStreams)}
	case time.Duration(r.Skew).Abs() > maxSpan:
		return &PlanError{"skew", fmt.Sprintf("%v is out of range", r.Skew), "Write a duration from -8784h to 8784h."}
	case r.Delay != nil:
		return r.Delay.validate()
	}
	return nil
}

func (d *Delay) validate() *PlanError {
	n := 0
	for _, set := range []bool{d.Fixed != 0, len(d.Uniform) > 0, len(d.Percentiles) > 0} {
		if set {
			n++
		}
	}
	bad := func(field string, v Duration) *PlanError {
		return &PlanError{field, fmt.Sprintf("%v is out of range", v), fmt.Sprintf("Write a duration from 0 to %v.", Duration(MaxDelay))}
	}
	outside := func(v Duration) bool { return v < 0 || time.Duration(v) > MaxDelay }
	switch {
	case n != 1:
		return &PlanError{"delay", "it has not exactly one of fixed, uniform and percentiles", `Write {"fixed": "100ms"}, for one.`}
	case d.Fixed != 0:
		if outside(d.Fixed) {
			return bad("delay.fixed", d.Fixed)
		}
	case len(d.Uniform) > 0:
		if len(d.Uniform) != 2 || d.Uniform[0] > d.Uniform[1] {
			return &PlanError{"delay.uniform", "it is not the least and the greatest", remedyFor(&d.Uniform)}
		}
		for _, v := range d.Uniform {
			if outside(v) {
				return bad("delay.uniform", v)
			}
		}
	default:
		points, e := d.points()
		if e != nil {
			return e
		}
		for i, p := range points {
			if outside(p.delay) {
				return bad("delay.percentiles", p.delay)
			}
			if i > 0 && p.delay < points[i-1].delay {
				return &PlanError{"delay.percentiles", fmt.Sprintf("%v %% is less than %v %%", p.at, points[i-1].at), "A higher percentile has no smaller delay."}
			}
		}
	}
	return nil
}

// point is a percentile with its delay.
type point struct {
	at    float64 // 0 to 100
	delay Duration
}

// maxPoints bounds the percentiles of a delay.
const maxPoints = 100

// points returns the percentiles in ascending order.
func (d *Delay) points() ([]point, *PlanError) {
	const remedy = `Write numbers above 0 and up to 100 as names, each once: {"50": "20ms", "99.9": "2s"}.`
	if len(d.Percentiles) > maxPoints {
		return nil, &PlanError{"delay.percentiles", fmt.Sprintf("there are %d", len(d.Percentiles)), fmt.Sprintf("At most %d are possible.", maxPoints)}
	}
	var all []point
	for name, delay := range d.Percentiles {
		at, err := strconv.ParseFloat(name, 64)
		if err != nil || !(at > 0 && at <= 100) {
			return nil, &PlanError{"delay.percentiles", fmt.Sprintf("%.40q is no percentile", name), remedy}
		}
		all = append(all, point{at, delay})
	}
	slices.SortFunc(all, func(a, b point) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for i := 1; i < len(all); i++ {
		if all[i].at == all[i-1].at {
			return nil, &PlanError{"delay.percentiles", fmt.Sprintf("%v %% is there twice", all[i].at), remedy}
		}
	}
	return all, nil
}

// rejection returns the refusal for a reason, with what goes along with it. A
// zero since means an hour, a zero retryAfter a second.
func rejection(r apns.Reason, since, retryAfter time.Duration, now time.Time, by string) *apns.Rejection {
	why := apns.Reject(r, "fault on demand: "+by)
	switch why.Status {
	case http.StatusGone:
		if since == 0 {
			since = time.Hour
		}
		why.Since = now.Add(-since).Truncate(time.Millisecond)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if retryAfter == 0 {
			retryAfter = time.Second
		}
		why.RetryAfter = retryAfter
	}
	return why
}
