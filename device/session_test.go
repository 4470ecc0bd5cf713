package device

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

var update = flag.Bool("update", false, "write what the transcripts show instead of comparing")

// TestTranscripts runs each file of testdata/session: blocks of one command a
// line, then ---- and what follows from them.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/session/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("transcripts: got %v and %v, want files", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newTranscript(t).run(string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("transcript (-file +run):\n%s", diff)
			}
		})
	}
}

// epoch is the zero of the times in transcripts.
var epoch = time.Unix(1_700_000_000, 0).UTC()

// transcript runs the machine of one device, over several connections.
type transcript struct {
	t        *testing.T
	memory   *memory
	greeting *greeting
	session  *session
	now      time.Time
	topics   map[apns.TopicHash]apns.Topic
	out      strings.Builder
}

func newTranscript(t *testing.T) *transcript {
	t.Helper()
	return &transcript{t: t, memory: newMemory(), now: epoch, topics: make(map[apns.TopicHash]apns.Topic)}
}

// run returns text with the outcomes of this run.
func (tr *transcript) run(text string) string {
	tr.t.Helper()
	var b strings.Builder
	for i, block := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		if i > 0 {
			b.WriteString("\n")
		}
		commands, _, _ := strings.Cut(block, "----")
		tr.out.Reset()
		for line := range strings.Lines(commands) {
			b.WriteString(line)
			if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
				tr.command(words[0], words[1:])
			}
		}
		b.WriteString("----\n" + tr.out.String())
	}
	return b.String()
}

// options are the words of a command of the form name=value.
type options map[string]string

func (o options) number(name string) int {
	n, err := strconv.Atoi(o[name])
	if err != nil {
		return 0
	}
	return n
}

// fill makes a token of a letter, and none of nothing.
func fill(letter string) string { return strings.Repeat(letter, apns.CourierTokenBytes) }

func (tr *transcript) topic(name string) apns.TopicHash {
	if name == "" {
		return apns.TopicHash{}
	}
	topic := apns.Topic("com.example." + name)
	tr.topics[topic.Hash()] = topic
	return topic.Hash()
}

func (tr *transcript) command(verb string, words []string) {
	tr.t.Helper()
	o := make(options)
	for i, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			name, value = strconv.Itoa(i), w
		}
		o[name] = value
	}
	switch verb {
	case "wait":
		d, err := time.ParseDuration(o["0"])
		if err != nil {
			tr.t.Fatal(err)
		}
		tr.now = tr.now.Add(d)
	case "register":
		tr.topic(o["0"])
		types, err := ParseNotificationTypes(o["1"])
		if err != nil {
			tr.t.Fatal(err)
		}
		tr.memory.register(apns.Topic("com.example."+o["0"]), types, Delegate{})
	case "unregister":
		tr.memory.unregister(apns.Topic("com.example." + o["0"]))
	case "permit":
		status, err := ParseAuthorizationStatus(o["1"])
		if err != nil {
			tr.t.Fatal(err)
		}
		topic := apns.Topic("com.example." + o["0"])
		tr.memory.permit(topic, Permission{Status: status, Types: Alert | Sound | Badge, NoBackground: o["background"] == "no"})
	case "subscribe":
		if err := tr.memory.subscribe(apns.Topic("com.example."+o["0"]), apns.ChannelID(o["1"])); err != nil {
			fmt.Fprintf(&tr.out, "error: %v\n", err)
		}
	case "unsubscribe":
		tr.memory.unsubscribe(apns.Topic("com.example."+o["0"]), apns.ChannelID(o["1"]))
	case "checkpoints":
		for _, s := range tr.memory.subscriptions() {
			fmt.Fprintf(&tr.out, "%s %s %d\n", s.topic, s.channel, s.checkpoint)
		}
	case "disconnect":
		tr.memory.settle(tr.now)
		tr.outcome(outcome{}, nil)
	case "connect":
		tr.greeting = &greeting{memory: tr.memory, keepAlive: time.Minute, redirects: uint16(o.number("redirects"))}
		tr.session = nil
		tr.login(tr.greeting.hello(tr.now))
	case "wake":
		tr.outcome(tr.session.wake(), nil)
	case "tick":
		tr.outcome(tr.session.tick(tr.now))
		fmt.Fprintf(&tr.out, "next tick after %v\n", tr.session.deadline().Sub(tr.now))
	case "held":
		tr.session.held(tr.now)
	case "goodbye":
		tr.frames(tr.session.goodbye())
	default:
		f, _, err := wire.NextFrame(tr.frame(verb, o), wire.MaxPayloadBytes)
		if err != nil {
			tr.t.Fatal(err)
		}
		tr.step(f)
	}
}

// frame returns what the courier sends.
func (tr *transcript) frame(verb string, o options) []byte {
	tr.t.Helper()
	switch verb {
	case "ack":
		m := wire.ConnectAck{
			Status: wire.ConnectStatus(o.number("status")), BaseToken: apns.BaseToken(fill(o["base"])),
			RedirectHost: o["redirect"],
		}
		if o["clock"] != "" {
			m.NonceTime = epoch.Add(time.Duration(o.number("clock")) * time.Second)
		}
		return m.Append(nil)
	case "answer":
		return wire.AppTokenResponse{
			Status: wire.AppTokenStatus(o.number("status")), TopicHash: tr.topic(o["topic"]),
			DeviceToken: apns.DeviceToken(fill(o["token"])),
		}.Append(nil)
	case "notify":
		n := wire.Notification{
			DeviceToken: apns.DeviceToken(fill(o["token"])), TopicHash: tr.topic(o["topic"]),
			MessageID: uint32(o.number("id")), Timestamp: uint64(o.number("stamp")), Payload: apns.Payload(o["payload"]),
			ID: apns.NotificationID(o["apns-id"]), PushType: apns.PushType(o["type"]), CollapseID: apns.CollapseID(o["collapse"]),
			Channel: apns.ChannelID(o["channel"]), Checkpoint: uint64(o.number("checkpoint")),
			Storage: wire.StorageFlags(o.number("storage")), Priority: apns.Priority(o.number("priority")),
		}
		return n.Append(nil)
	case "flush":
		return wire.Flush{Wanted: uint16(o.number("wanted"))}.Append(nil)
	case "channels":
		return wire.SubscriptionsResponse{
			RequestID: uint32(o.number("request")), Status: wire.SubscriptionsStatus(o.number("status")),
			RetryAfter: time.Duration(o.number("retry")) * time.Second, Apps: tr.said(o),
		}.Append(nil)
	case "update":
		return wire.ChannelUpdate{Resend: o["resend"] != "", Apps: tr.said(o)}.Append(nil)
	case "redirect":
		return wire.Redirect{Host: o["host"], Reason: o["reason"]}.Append(nil)
	case "alive":
		return wire.KeepAliveResponse{}.Append(nil)
	case "cancel":
		return wire.CancelKeepAlive{}.Append(nil)
	case "nostorage":
		return wire.NoStorage{}.Append(nil)
	case "raw":
		b, err := hex.DecodeString(o["0"])
		if err != nil {
			tr.t.Fatal(err)
		}
		return b
	}
	tr.t.Fatalf("transcript: unknown command %q", verb)
	return nil
}

// said returns what the courier says of the channel in topic= and channel=.
func (tr *transcript) said(o options) []wire.AppChannelResults {
	if o["channel"] == "" {
		return nil
	}
	return []wire.AppChannelResults{{App: apns.Topic("com.example." + o["topic"]), Channels: []wire.ChannelResult{
		{Channel: apns.ChannelID(o["channel"]), Status: wire.ChannelStatus(o.number("exists"))},
	}}}
}

func (tr *transcript) step(f wire.Frame) {
	if tr.session != nil {
		tr.outcome(tr.session.step(f, tr.now))
		return
	}
	s, again, err := tr.greeting.step(f, tr.now)
	if again != nil {
		tr.login(*again)
	}
	if s != nil {
		tr.session = s
		tr.outcome(s.begin(), nil)
		return
	}
	tr.outcome(outcome{}, err)
}

func (tr *transcript) login(l login) {
	fmt.Fprintf(&tr.out, "> Connect base=%s redirects=%d nonce=%v\n", letter(l.connect.BaseToken), l.connect.Redirects, l.nonceAt.Sub(epoch))
}

// letter is the inverse of fill.
func letter[T ~string](s T) T {
	if s == "" {
		return "none"
	}
	return s[:1]
}

// outcome writes what a step led to.
func (tr *transcript) outcome(o outcome, err error) {
	tr.t.Helper()
	if tr.memory.changed {
		tr.memory.changed = false
		tr.out.WriteString("save\n")
	}
	all := receivedIn(o.effects)
	if err := tr.memory.journal.commit(all); err != nil {
		tr.t.Fatal(err)
	}
	if tr.session != nil {
		tr.session.committed(all)
	}
	for _, e := range o.effects {
		switch e := e.(type) {
		case registered:
			fmt.Fprintf(&tr.out, "registered %s token=%s\n", e.topic, letter(e.token))
		case refused:
			fmt.Fprintf(&tr.out, "refused: %v\n", e.problem)
		case *received:
			n := e.notification
			fmt.Fprintf(&tr.out, "received %s %s type=%s priority=%d id=%q collapse=%q stored=%v\n",
				n.Topic, n.Payload, n.PushType, n.Priority, n.ID, n.CollapseID, n.Stored)
			if n.Channel != "" {
				fmt.Fprintf(&tr.out, "    on %s\n", n.Channel)
			}
		case channelLost:
			fmt.Fprintf(&tr.out, "lost: %v\n", e.problem)
		}
	}
	tr.frames(o.frames)
	if err != nil {
		kind := ""
		if errors.Is(err, wire.ErrMalformed) {
			kind = "malformed: "
		}
		fmt.Fprintf(&tr.out, "over: %s%v\n", kind, err)
	}
}

// frames writes the frames in b in words.
func (tr *transcript) frames(b []byte) {
	tr.t.Helper()
	for len(b) > 0 {
		f, n, err := wire.NextFrame(b, wire.MaxPayloadBytes)
		if err != nil {
			tr.t.Fatal(err)
		}
		b = b[n:]
		fmt.Fprintf(&tr.out, "> %s\n", tr.words(f))
	}
}

func (tr *transcript) words(f wire.Frame) string {
	tr.t.Helper()
	var err error
	var s string
	switch f.Command {
	case wire.CommandConnect:
		var m wire.Connect
		m, err = wire.ParseConnect(f.Payload)
		s = fmt.Sprintf(" base=%s state=%d", letter(m.BaseToken), m.State)
	case wire.CommandFilter:
		var m wire.Filter
		m, err = wire.ParseFilter(f.Payload)
		var names []string
		for _, h := range m.Enabled {
			names = append(names, " "+string(tr.topics[h]))
		}
		slices.Sort(names)
		s = fmt.Sprintf(" base=%s%s", letter(m.BaseToken), strings.Join(names, ""))
		for _, h := range m.Ignored {
			s += " ignored:" + string(tr.topics[h])
		}
	case wire.CommandAppToken:
		var m wire.AppToken
		m, err = wire.ParseAppToken(f.Payload)
		s = fmt.Sprintf(" base=%s %s", letter(m.BaseToken), tr.topics[m.TopicHash])
	case wire.CommandChannels:
		var m wire.Subscriptions
		m, err = wire.ParseSubscriptions(f.Payload)
		s = fmt.Sprintf(" base=%s full=%v request=%d sequence=%d", letter(m.BaseToken), m.Full, m.RequestID, m.Sequence)
		for _, a := range m.Apps {
			s += " " + string(a.App)
			for _, sub := range a.Subscribe {
				s += fmt.Sprintf(" +%s@%d", sub.Channel, sub.Checkpoint)
			}
			for _, id := range a.Unsubscribe {
				s += " -" + string(id)
			}
		}
	case wire.CommandAck:
		var m wire.Ack
		m, err = wire.ParseAck(f.Payload)
		s = fmt.Sprintf(" id=%d %v", m.MessageID, m.Status)
	case wire.CommandFlushResponse:
		var m wire.FlushResponse
		m, err = wire.ParseFlushResponse(f.Payload)
		s = fmt.Sprintf(" padding=%d", m.Padding)
	case wire.CommandSetActiveState:
		var m wire.SetActiveState
		m, err = wire.ParseSetActiveState(f.Payload)
		s = fmt.Sprintf(" state=%d for=%d", m.State, m.For/time.Second)
	default:
	}
	if err != nil {
		tr.t.Fatal(err)
	}
	return f.Command.String() + s
}

// FuzzSession feeds frames to a session in each of its states. Whatever comes,
// every notification is acknowledged at most once, and none for nothing.
func FuzzSession(f *testing.F) {
	demo := apns.Topic("com.example.demo").Hash()
	tok := apns.DeviceToken(fill("A"))
	for _, seed := range [][]byte{
		wire.AppTokenResponse{TopicHash: demo, DeviceToken: tok}.Append(nil),
		wire.Notification{TopicHash: demo, DeviceToken: tok, Payload: apns.Payload(`{"aps":{"alert":"hi"}}`), Timestamp: 1}.Append(nil),
		wire.Flush{Wanted: 9}.Append(wire.CancelKeepAlive{}.Append(nil)),
		wire.Redirect{Host: "elsewhere.test"}.Append(nil),
		wire.Notification{
			TopicHash: demo, DeviceToken: apns.DeviceToken(fill("B")), Payload: apns.Payload(`{}`), Channel: "AAAA", Checkpoint: 7, Timestamp: 7,
		}.Append(nil),
		wire.SubscriptionsResponse{RequestID: 1, Status: wire.SubscriptionsTryLater}.Append(nil),
		wire.ChannelUpdate{Resend: true, Apps: []wire.AppChannelResults{{App: "com.example.demo", Channels: []wire.ChannelResult{{Channel: "AAAA"}}}}}.Append(nil),
		wire.ConnectAck{BaseToken: apns.BaseToken(fill("B"))}.Append(nil),
		{7, 0x80, 0, 0, 0},
	} {
		f.Add(byte(0), seed)
		f.Add(byte(1), seed)
		f.Add(byte(2), seed)
	}
	f.Fuzz(func(t *testing.T, state byte, b []byte) {
		m := newMemory()
		m.register("com.example.demo", Alert, Delegate{})
		if err := m.subscribe("com.example.demo", "AAAA"); err != nil {
			t.Fatal(err)
		}
		g := &greeting{memory: m, keepAlive: time.Minute}
		var s *session
		if state%3 > 0 {
			ack, _, err := wire.NextFrame(wire.ConnectAck{BaseToken: apns.BaseToken(fill("B"))}.Append(nil), wire.MaxPayloadBytes)
			if err != nil {
				t.Fatal(err)
			}
			if s, _, err = g.step(ack, epoch); err != nil {
				t.Fatal(err)
			}
			s.begin()
		}
		if state%3 > 1 {
			r, _, err := wire.NextFrame(wire.AppTokenResponse{TopicHash: demo, DeviceToken: tok}.Append(nil), wire.MaxPayloadBytes)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.step(r, epoch); err != nil {
				t.Fatal(err)
			}
		}
		came, acked := 0, 0
		for {
			fr, n, err := wire.NextFrame(b, wire.MaxPayloadBytes)
			if err != nil {
				break
			}
			b = b[n:]
			if s == nil {
				if s, _, err = g.step(fr, epoch); err != nil {
					return
				}
				continue
			}
			if fr.Command == wire.CommandNotification {
				came++
			}
			o, err := s.step(fr, epoch)
			if err != nil {
				return
			}
			acked += countAcks(t, o.frames)
			if acked > came {
				t.Fatalf("acks: got %d for %d notifications", acked, came)
			}
			for _, e := range o.effects {
				if r, ok := e.(*received); ok {
					present(r.notification, r.wishes).Draw(40)
				}
			}
		}
	})
}

func countAcks(t *testing.T, b []byte) (n int) {
	t.Helper()
	for len(b) > 0 {
		f, size, err := wire.NextFrame(b, wire.MaxPayloadBytes)
		if err != nil {
			t.Fatalf("frame that was to be sent: %v", err)
		}
		if b = b[size:]; f.Command == wire.CommandAck {
			n++
		}
	}
	return n
}

func TestHistoryIsBounded(t *testing.T) {
	h := newHistory()
	var all []remembered
	for i := range uint64(historyEntries + 10) {
		e, ok := entryFor(apns.DeviceToken(fill("A")), i+1)
		if !ok {
			t.Fatalf("entry %d: got none", i)
		}
		h.add(e, epoch)
		all = append(all, remembered{e, uint32(epoch.Unix())})
	}
	if diff := cmp.Diff(all[10:], h.entries(epoch), cmp.AllowUnexported(remembered{})); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if h.has(all[9].entry, epoch) || !h.has(all[10].entry, epoch) || len(h.known) != historyEntries {
		t.Errorf("known: got %d, the newest %v, one too old %v", len(h.known), h.has(all[10].entry, epoch), h.has(all[9].entry, epoch))
	}
	later := epoch.Add(historyAge + time.Second)
	if h.has(all[10].entry, later) || len(h.entries(later)) != 0 {
		t.Error("after its time: got an entry known")
	}
}
