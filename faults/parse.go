package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// MaxPlanBytes bounds the text of a plan.
const MaxPlanBytes = 256 << 10

// PlanError says what is wrong with a plan.
type PlanError struct {
	// Field is where, such as "rules[2].match.topics"; empty for the whole.
	Field string
	// Problem says what is wrong, in lower case and without a full stop.
	Problem string
	// Remedy says what to write instead, as a sentence.
	Remedy string
}

// Error names the field and the problem.
func (e *PlanError) Error() string {
	if e.Field == "" {
		return "fault plan: " + e.Problem
	}
	return "fault plan: " + e.Field + ": " + e.Problem
}

// Parse reads a plan, one JSON object, and checks it. Every error is a *PlanError.
func Parse(b []byte) (Plan, error) {
	if len(b) > MaxPlanBytes {
		return Plan{}, &PlanError{Problem: fmt.Sprintf("it has more than %d bytes", MaxPlanBytes), Remedy: "Leave out what is not needed."}
	}
	var p Plan
	err := readObject("", b, map[string]any{
		"name": &p.Name, "seed": &p.Seed,
		"rules": func(raw []byte) (err error) {
			p.Rules, err = readRules(raw)
			return err
		},
	})
	if err == nil {
		err = p.Validate()
	}
	if err != nil {
		return Plan{}, err
	}
	return p, nil
}

func readRules(raw []byte) ([]Rule, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, &PlanError{"rules", "it is not a list", `Write "rules": [{"fault": "silence", "share": 0.01}].`}
	}
	if len(list) > maxRules { // before anything is made of them
		return nil, tooManyRules(len(list))
	}
	rules := make([]Rule, len(list))
	for i := range list {
		if err := readRule(fmt.Sprintf("rules[%d]", i), list[i], &rules[i]); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

func readRule(path string, raw []byte, r *Rule) error {
	return readObject(path, raw, map[string]any{
		"name": &r.Name, "fault": &r.Fault, "share": &r.Share, "from": &r.From, "until": &r.Until, "limit": &r.Limit, "after": &r.After,
		"reason": &r.Reason, "since": &r.Since, "retry_after": &r.RetryAfter, "code": &r.Code, "streams": &r.Streams, "skew": &r.Skew,
		"match": func(raw []byte) error {
			return readObject(path+".match", raw, map[string]any{
				"environment": &r.Match.Environment, "topics": &r.Match.Topics, "teams": &r.Match.Teams, "connections": &r.Match.Connections,
			})
		},
		"delay": func(raw []byte) error {
			r.Delay = new(Delay)
			return readObject(path+".delay", raw, map[string]any{
				"fixed": &r.Delay.Fixed, "uniform": &r.Delay.Uniform, "percentiles": &r.Delay.Percentiles,
			})
		},
	})
}

// readObject reads a JSON object into the fields, each a pointer or a function
// that reads the member itself. Errors name the member.
func readObject(path string, raw []byte, fields map[string]any) error {
	var members map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(raw))
	err := d.Decode(&members)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something after the object")
		}
	}
	if err != nil || members == nil {
		return &PlanError{path, "it is not a JSON object" + syntax(err), "Begin from the example in docs/faults.md."}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		at := strings.TrimPrefix(path+"."+name, ".")
		to, ok := fields[name]
		if !ok {
			known := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
			return &PlanError{fmt.Sprintf("%.100s", at), "there is no such field", "The fields are " + known + "."}
		}
		if read, nested := to.(func([]byte) error); nested {
			if err := read(members[name]); err != nil {
				return err
			}
			continue
		}
		if err := json.Unmarshal(members[name], to); err != nil {
			return &PlanError{at, describe(err), remedyFor(to)}
		}
	}
	return nil
}

// syntax says where a text stops being JSON.
func syntax(err error) string {
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf(" (at byte %d)", s.Offset)
	}
	return ""
}

// describe says what is wrong with a value.
func describe(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "it takes no " + t.Value
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// remedyFor says what a field takes.
func remedyFor(to any) string {
	switch to.(type) {
	case *Duration:
		return `Write a duration, such as "250ms" or "1h30m".`
	case *[]Duration:
		return `Write two durations, such as ["10ms", "500ms"].`
	case *map[string]Duration:
		return `Write durations by percentile, such as {"50": "20ms", "99": "2s"}.`
	case **float64:
		return "Write a share above 0 and up to 1, such as 0.02 for 2 %."
	case *uint64, *uint32:
		return "Write a whole number."
	case **ErrorCode:
		return "The codes are " + strings.Join(codeNames[:], ", ") + "."
	case *string, *Kind:
		return "Write a text in quotes."
	}
	return "See docs/faults.md."
}
