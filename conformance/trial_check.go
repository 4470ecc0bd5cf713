package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http2"
)

// after checks what a step says of the connection.
func (t *trial) after(s *Step) error {
	if s.Settings != nil {
		if err := t.peer.settle(); err != nil {
			return &mismatchError{got: t.peer.ending(), want: "SETTINGS", detail: err.Error()}
		}
		if err := t.checkSettings(s.Settings); err != nil {
			return err
		}
	}
	return t.checkGoAway(s)
}

func (t *trial) checkGoAway(s *Step) error {
	if s.GoAway == "" && s.LastStream == nil {
		return nil
	}
	g := t.peer.goAway
	if g == nil {
		return &mismatchError{got: "no GOAWAY", want: "GOAWAY " + s.GoAway}
	}
	if s.GoAway != "" {
		ok, err := regexp.MatchString(s.GoAway, g.debug)
		if err != nil {
			return err
		}
		if !ok {
			return &mismatchError{got: fmt.Sprintf("debug data %.80q", g.debug), want: s.GoAway}
		}
	}
	if s.LastStream != nil && g.last != *s.LastStream {
		return &mismatchError{got: fmt.Sprintf("last stream %d", g.last), want: fmt.Sprint(*s.LastStream)}
	}
	return nil
}

// check checks an answer.
func (t *trial) check(s *Step, q *request, a *answer, got, want string) error {
	if !isWanted(got, want) {
		m := &mismatchError{got: got, want: want}
		if got == closed {
			m.detail = t.peer.silence()
		}
		return m
	}
	if err := t.checkForm(s, q, a); err != nil {
		return err
	}
	for name, pattern := range s.Headers {
		pattern, err := t.expand(pattern)
		if err != nil {
			return err
		}
		value := strings.Join(a.get(name), ", ")
		ok, err := regexp.MatchString("^(?:"+pattern+")$", value)
		if err != nil {
			return err
		}
		if !ok {
			return &mismatchError{got: fmt.Sprintf("%s %q", name, value), want: pattern}
		}
	}
	for _, name := range s.Absent {
		if value := a.get(name); value != nil {
			return &mismatchError{got: fmt.Sprintf("%s %q", name, value), want: "no such header"}
		}
	}
	if s.Answer != "" {
		pattern, err := t.expand(s.Answer)
		if err != nil {
			return err
		}
		ok, err := regexp.Match("^(?:"+pattern+")$", a.body)
		if err != nil {
			return err
		}
		if !ok {
			return &mismatchError{got: fmt.Sprintf("body %.80q", a.body), want: s.Answer}
		}
	}
	for name, header := range s.Keep {
		if values := a.get(header); len(values) == 1 {
			t.kept[name] = values[0]
		} else {
			return &mismatchError{got: fmt.Sprintf("%s %q", header, values), want: "one"}
		}
	}
	return nil
}

// checkForm checks what is the same for each answer.
func (t *trial) checkForm(s *Step, q *request, a *answer) error {
	var err error
	switch s.Form {
	case "any":
		return nil
	case "channel":
		err = checkChannel(q, a)
	default:
		err = checkAnswer(q, a)
	}
	if err != nil {
		return &mismatchError{got: t.peer.outcome(a), want: "an answer of the right form", detail: err.Error()}
	}
	return nil
}

// finish ends the request that was left open.
func (t *trial) finish(s *Step) error {
	if t.opens == nil {
		return errors.New("no request was left open")
	}
	if err := t.peer.finish(t.open, t.opens.body, s); err != nil && t.peer.ended == nil {
		t.drain()
	}
	a := t.peer.await(t.open)
	if err := t.check(s, t.opens, a, t.peer.outcome(a), s.want(t.mode)); err != nil {
		return err
	}
	return t.after(s)
}

// checkSettings checks what the gateway has told. A number of streams that is
// wanted to be above 1 stands for any such: Apple's has changed over the years.
func (t *trial) checkSettings(want map[string]uint32) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		id, ok := settingIDs[name]
		if !ok {
			return fmt.Errorf("setting %q", name)
		}
		got, told := t.peer.settings[id]
		if !told || got != want[name] && (id != http2.SettingMaxConcurrentStreams || want[name] == 1 || got < 2) {
			text := fmt.Sprint(got)
			if !told {
				text = "none"
			}
			return &mismatchError{got: name + " " + text, want: fmt.Sprint(want[name])}
		}
	}
	return nil
}

// received checks what the watched device got.
func (t *trial) received(ctx context.Context, want []string) error {
	expected := make([]string, len(want))
	for i := range want {
		var err error
		if expected[i], err = t.expand(want[i]); err != nil {
			return err
		}
	}
	var got []string
	for range want {
		payload, err := t.cfg.Target.Watched.Next(ctx)
		if err != nil {
			return &mismatchError{got: fmt.Sprintf("%q", got), want: fmt.Sprintf("%q", expected), detail: err.Error()}
		}
		got = append(got, payload)
	}
	if !slices.Equal(got, expected) {
		return &mismatchError{got: fmt.Sprintf("%q", got), want: fmt.Sprintf("%q", expected)}
	}
	return nil
}
