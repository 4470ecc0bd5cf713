package spool

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

var update = flag.Bool("update", false, "write the transcripts as they turn out")

// TestMachine plays the transcripts in testdata. A line that is not indented is
// an event, those below it are what came of it:
//
//	window 1                   set the window, before anything else
//	wait 10m                   let time pass
//	offer a NAME p5 exp=10m    a notification with this payload for topic a, a
//	                           microsecond later; exp counts from now, exp=0 asks
//	                           not to store it
//	arrive a NAME -1m          a stored one that was taken before, and comes late
//	attach, attach inactive    the device connects
//	detach                     the device goes
//	filter enabled=a,b paused=c
//	active 10m, inactive
//	tick                       the alarm has come
//	next                       pull one
//	pull                       pull until there is nothing
//	ack 1, ack 1 dropped, ack 1 keep
//	ackrange 1 3, ackrange 1 3 keep
//	received a                 the device has what is stored for topic a;
//	received a former          or what was stored a moment before that
func TestMachine(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d transcripts and error %v, want some", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(want)
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("transcript (-want +got):\n%s", d)
			}
		})
	}
}

// play returns the transcript with what comes of its events.
func play(script []byte) []byte {
	s := &stage{
		now:   time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
		rules: rules{window: 16, postpone: 15 * time.Minute, linger: time.Minute},
		shelf: map[apns.TopicHash]Entry{},
	}
	for line := range strings.Lines(string(script)) {
		line = strings.TrimRight(line, "\n")
		switch fields := strings.Fields(line); {
		case strings.HasPrefix(line, " "):
		case len(fields) == 0, strings.HasPrefix(line, "#"):
			fmt.Fprintln(&s.out, line)
		default:
			fmt.Fprintln(&s.out, line)
			s.event(fields[0], fields[1:])
		}
	}
	return s.out.Bytes()
}

// stage is a machine with the least of what is around it: a store of one
// mailbox, and a clock.
type stage struct {
	out   bytes.Buffer
	now   time.Time
	rules rules
	shelf map[apns.TopicHash]Entry
	m     *machine // nil while the device is away
}

func (s *stage) sayf(format string, args ...any) { fmt.Fprintf(&s.out, "  "+format+"\n", args...) }

func (s *stage) event(name string, args []string) {
	switch {
	case name == "window":
		s.rules.window, _ = strconv.Atoi(args[0])
	case name == "wait":
		s.now = s.now.Add(duration(args[0]))
	case name == "offer":
		s.offer(args[0], args[1], args[2:])
	case name == "attach":
		m := newMachine(&s.rules, len(args) == 0)
		s.m = &m
		s.effects(s.m.loaded(slices.SortedFunc(maps.Values(s.shelf), func(x, y Entry) int {
			return int(x.Timestamp - y.Timestamp)
		}), s.now))
	case s.m == nil:
		s.sayf("the device is away")
	case name == "arrive":
		e := Entry{Address: apns.Address{Device: 1, Topic: apns.TopicHash{args[0][0]}}}
		e.Notification.Payload = apns.Payload(args[1])
		e.Timestamp = Timestamp(s.now.Add(duration(args[2])).UnixNano())
		s.effects(s.m.offered(e, true, s.now))
	case name == "detach":
		s.m = nil
	case name == "filter":
		f := newLists(parseFilter(args))
		stored, eff := s.m.filterSet(&f, s.now)
		s.sayf("stored: %d", stored)
		s.effects(eff)
	case name == "active":
		s.effects(s.m.activeSet(s.now.Add(duration(args[0])), s.now))
	case name == "inactive":
		s.effects(s.m.activeSet(time.Time{}, s.now))
	case name == "tick":
		s.effects(s.m.tick(s.now))
	case name == "next":
		s.next()
	case name == "pull":
		for s.next() {
		}
	case name == "ack":
		s.ack(args[0], append(args, "delivered")[1])
	case name == "ackrange":
		s.ackRange(args[0], args[1], append(args, "delivered")[2])
	case name == "received":
		r := Received{Topic: apns.TopicHash{args[0][0]}}
		r.Timestamp = s.shelf[r.Topic].Timestamp
		if len(args) > 1 {
			r.Timestamp -= Timestamp(time.Microsecond)
		}
		s.effects(s.m.received([]Received{r}, s.now))
	default:
		s.sayf("no such event")
	}
}

func (s *stage) offer(topic, payload string, options []string) {
	e := Entry{Address: apns.Address{Device: 1, Topic: apns.TopicHash{topic[0]}}}
	e.Notification.Payload = apns.Payload(payload)
	for _, o := range options {
		exp, ok := strings.CutPrefix(o, "exp=")
		switch {
		case exp == "0":
			e.Notification.Expiration = apns.DoNotStore
		case ok:
			e.Notification.Expiration = apns.ExpiresAt(s.now.Add(duration(exp)))
		default:
			e.Notification.Priority, _ = apns.ParsePriority(o[1:])
		}
	}
	s.now = s.now.Add(time.Microsecond)
	e.Timestamp = Timestamp(s.now.UnixNano())
	keep := e.Notification.Expiration.Stored(s.now)
	if s.m == nil && !keep || s.m != nil && !s.m.wants(&e, keep, s.now) {
		s.sayf("dropped")
		return
	}
	if keep {
		s.shelf[e.Address.Topic] = e
		s.sayf("stored")
	}
	if s.m != nil {
		s.effects(s.m.offered(e, keep, s.now))
	}
}

func (s *stage) next() bool {
	d, ok, eff := s.m.next(s.now)
	if !ok {
		s.sayf("nothing")
		eff.wake = false
	} else {
		s.sayf("%s", describe(d))
	}
	eff.wake = false // Spool does so, too
	s.effects(eff)
	return ok
}

var dispositions = map[string]Disposition{"delivered": Delivered, "dropped": Dropped, "keep": Keep}

func (s *stage) ackRange(first, last, disposition string) {
	from, _ := strconv.Atoi(first)
	to, _ := strconv.Atoi(last)
	all, eff := s.m.ackedRange(uint32(from), uint32(to), dispositions[disposition], s.now) //nolint:gosec // small numbers
	for _, d := range all {
		s.sayf("%s", describe(d))
	}
	s.effects(eff)
}

func (s *stage) ack(id, disposition string) {
	n, _ := strconv.Atoi(id)
	d := dispositions[disposition]
	if got, ok, eff := s.m.acked(uint32(n), d, s.now); !ok { //nolint:gosec // a small number
		s.sayf("unknown")
	} else {
		s.sayf("%s", describe(got))
		s.effects(eff)
	}
}

func describe(d Delivery) string {
	text := fmt.Sprintf("%d: %c %s", d.MessageID, d.Address.Topic[0], d.Notification.Payload)
	if d.Stored {
		text += " stored"
	}
	if d.Last {
		text += " last"
	}
	return text
}

// effects carries out the effects on the shelf, and says what they are.
func (s *stage) effects(eff effects) {
	for _, v := range eff.discard {
		if e, ok := s.shelf[v.Address.Topic]; ok && e.Timestamp == v.Timestamp {
			delete(s.shelf, v.Address.Topic)
			s.sayf("discard %c %s", v.Address.Topic[0], e.Notification.Payload)
		} else {
			s.sayf("discard %c, of which there is another version or none", v.Address.Topic[0])
		}
	}
	if eff.wake {
		s.sayf("wake")
	}
	if !eff.alarm.IsZero() {
		s.sayf("alarm in %v", eff.alarm.Sub(s.now).Round(time.Second))
	}
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func parseFilter(args []string) *Filter {
	var f Filter
	lists := map[string]*[]apns.TopicHash{
		"enabled": &f.Enabled, "opportunistic": &f.Opportunistic, "nonwaking": &f.NonWaking, "paused": &f.Paused,
		"ignored": &f.Ignored,
	}
	for _, a := range args {
		name, topics, _ := strings.Cut(a, "=")
		for topic := range strings.SplitSeq(topics, ",") {
			*lists[name] = append(*lists[name], apns.TopicHash{topic[0]})
		}
	}
	return &f
}
