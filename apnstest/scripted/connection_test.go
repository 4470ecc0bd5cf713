package scripted_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
)

// check compares what was seen, as words in a row.
func check(t *testing.T, got []string, want string) {
	t.Helper()
	if diff := cmp.Diff(want, strings.Join(got, " | ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// at is a script with one step.
func at(s scripted.Step) scripted.Script { return scripted.Script{Steps: []scripted.Step{s}} }

// TestScripts shows what a client sees of a connection on which it sends two pushes
// and a PING, and what it sees a minute later.
func TestScripts(t *testing.T) {
	const pushed = "settings 1000 | ack | 1:200. | 3:200."
	for _, tt := range []struct {
		name   string
		script scripted.Script
		want   string
		later  string
	}{
		{"at its best", scripted.Script{}, pushed + " | pong", ""},
		{"another limit", scripted.Script{Streams: 7}, "settings 7 | ack | 1:200. | 3:200. | pong", ""},
		{"no streams", scripted.Script{Streams: scripted.NoStreams}, "settings 0 | ack | 1:REFUSED_STREAM | 3:REFUSED_STREAM | pong", ""},
		{"late SETTINGS", scripted.Script{SettingsDelay: time.Second}, "", pushed + " | pong"},
		{"no SETTINGS", scripted.Script{NoSettings: true}, "", ""},
		{"late pong", scripted.Script{PongDelay: time.Second}, pushed, "pong"},
		{"no pong", scripted.Script{PongDelay: -1}, pushed, ""},
		{"no pong from now on", at(scripted.Step{Pushes: 1, Do: scripted.StopPongs}), pushed, ""},
		{
			"a limit that grows",
			scripted.Script{Streams: 1, Steps: []scripted.Step{{Accepted: 1, Do: scripted.Streams(5)}}},
			"settings 1 | ack | 1:200. | settings 5 | 3:200. | pong", "",
		},
		{"a limit of none", at(scripted.Step{Pushes: 1, Do: scripted.Streams(0)}), "settings 1000 | ack | 1:200. | settings 0 | 3:REFUSED_STREAM | pong", ""},
		{"another window", at(scripted.Step{Pushes: 2, Do: scripted.Window(9)}), pushed + " | settings 0 | pong", ""},
		{"pings", at(scripted.Step{Pushes: 2, Do: scripted.Pings(3)}), pushed + " | ping 1 | ping 2 | ping 3 | pong", ""},
		{"credit", at(scripted.Step{Pushes: 2, Do: scripted.Credit(99)}), pushed + " | 0:+99 | pong", ""},
		{"after a time", at(scripted.Step{After: time.Second, Do: scripted.Close}), pushed + " | pong", "ended"},
		{"after a time and a push", at(scripted.Step{After: time.Second, Pushes: 3, Do: scripted.Close}), pushed + " | pong", ""},
		{"close", at(scripted.Step{Pushes: 1, Do: scripted.Close}), "settings 1000 | ack | 1:200. | ended", "ended"},
		{"half close", at(scripted.Step{Pushes: 1, Do: scripted.HalfClose}), "settings 1000 | ack | 1:200. | ended", "ended"},
		{"reset", at(scripted.Step{Pushes: 1, Do: scripted.Reset}), "settings 1000 | ack | 1:200. | ended", "ended"},
		{"frame cut off", at(scripted.Step{Pushes: 1, Do: scripted.CutFrame}), "settings 1000 | ack | 1:200. | ended", "ended"},
		{"no more reading", at(scripted.Step{Pushes: 1, Do: scripted.StopReading}), "settings 1000 | ack | 1:200.", ""},
		{"vanished", at(scripted.Step{Begun: 2, Do: scripted.Vanish}), "settings 1000 | ack | 1:200.", ""},
		{
			"end in two steps", at(scripted.Step{Pushes: 1, Do: scripted.GoAway{Reason: apns.Shutdown}}),
			"settings 1000 | ack | 1:200. | goaway 2147483647 NO_ERROR  | ping 1 | 3:200. | pong",
			`goaway 3 NO_ERROR {"reason":"Shutdown"} | ping 1 | ended`,
		},
		{
			"end at once", at(scripted.Step{Begun: 1, Do: scripted.GoAway{AtOnce: true}}),
			"settings 1000 | ack | goaway 1 NO_ERROR  | ping 1 | 1:200. | ended", "ended",
		},
		{
			"end that leaves all out", at(scripted.Step{Begun: 2, Do: scripted.GoAway{LeaveOut: -1}}),
			"settings 1000 | ack | 1:200. | goaway 1 NO_ERROR  | ping 1 | ended", "ended",
		},
		{
			"end with a reason", at(scripted.Step{Pushes: 1, Do: scripted.GoAway{
				Code: http2.ErrCodeProtocol, Reason: apns.BadCertificateEnvironment, Close: true,
			}}),
			`settings 1000 | ack | 1:200. | goaway 1 PROTOCOL_ERROR {"reason":"BadCertificateEnvironment"} | ended`, "ended",
		},
		{
			"end with other words", at(scripted.Step{Pushes: 1, Do: scripted.GoAway{Debug: "go", Close: true}}),
			`settings 1000 | ack | 1:200. | goaway 1 NO_ERROR go | ended`, "ended",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFrames(t, func(t peerScene) {
				t.g.Script(tt.script)
				p := newPeer(t.T, t.g)
				_, _ = p.push(), p.push()
				p.must(p.framer.WritePing(false, [8]byte{7: 42}))
				check(t.T, p.seen(), tt.want)
				time.Sleep(time.Minute)
				check(t.T, p.seen(), tt.later)
			})
		})
	}
}

// TestNoCreditEver shows a connection that carries 65,535 bytes and no more.
func TestNoCreditEver(t *testing.T) {
	inFrames(t, func(t peerScene) {
		t.g.Script(scripted.Script{NoCredit: true})
		p := newPeer(t.T, t.g)
		id := p.headers(pushFields(phone, 65535), false)
		for left := 65535; left > 0; {
			n := min(left, 16384)
			left -= n
			p.must(p.framer.WriteData(id, left == 0, make([]byte, n)))
		}
		check(t.T, p.seen(), "settings 1000 | ack | 1:200.")
		t.g.Do(scripted.Credit(len(payload)))
		check(t.T, p.seen(), "0:+25")
		p.push()
		check(t.T, p.seen(), "3:200.")
		if got := t.g.Violations(); len(got) != 0 {
			t.Errorf("got %v, want none", got)
		}
	})
}

// TestSmallWindow shows a gateway that takes a body a few bytes at a time.
func TestSmallWindow(t *testing.T) {
	inFrames(t, func(t peerScene) {
		t.g.Script(scripted.Script{Window: 10})
		p := newPeer(t.T, t.g)
		check(t.T, p.seen(), "settings 1000 | ack")
		id := p.headers(pushFields(phone, 15), false)
		p.must(p.framer.WriteData(id, false, make([]byte, 10)))
		check(t.T, p.seen(), "1:+10")
		p.must(p.framer.WriteData(id, true, make([]byte, 5)))
		check(t.T, p.seen(), "1:200.")
		p.push()
		check(t.T, p.seen(), "3:FLOW_CONTROL_ERROR")
	})
}

// TestSmallWindowOfTheSender shows an answer that waits for the window of who asked.
func TestSmallWindowOfTheSender(t *testing.T) {
	inFrames(t, func(t peerScene) {
		t.g.Reply(scripted.Refuse(apns.BadTopic))
		p := newPeer(t.T, t.g, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		p.push()
		check(t.T, p.seen(), "settings 1000 | ack | 1:400")
		p.must(p.framer.WriteWindowUpdate(1, 10))
		check(t.T, p.seen(), `1:{"reason":`)
		p.must(p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100}))
		check(t.T, p.seen(), `ack | 1:"BadTopic"}.`)
	})
}

// TestSlowReading shows that a push of some 100 bytes takes its time at 10 a second.
func TestSlowReading(t *testing.T) {
	inFrames(t, func(t peerScene) {
		p := newPeer(t.T, t.g)
		p.seen()
		t.g.Do(scripted.Pace{Bytes: 10, Every: time.Second})
		p.push()
		check(t.T, p.seen(), "")
		time.Sleep(5 * time.Second)
		check(t.T, p.seen(), "")
		time.Sleep(time.Minute)
		check(t.T, p.seen(), "1:200.")
		t.g.Do(scripted.Pace{})
		p.push()
		time.Sleep(time.Second) // what was begun slowly
		check(t.T, p.seen(), "3:200.")
	})
}

// TestReadingAgain shows that what a stopped connection holds back is not lost.
func TestReadingAgain(t *testing.T) {
	inFrames(t, func(t peerScene) {
		p := newPeer(t.T, t.g)
		p.seen()
		t.g.Do(scripted.StopReading)
		p.push()
		time.Sleep(time.Hour)
		check(t.T, p.seen(), "")
		if got := t.g.Counts().Pushes; got != 0 {
			t.Errorf("got %d pushes, want none", got)
		}
		t.g.Do(scripted.Pace{})
		check(t.T, p.seen(), "1:200.")
	})
}

// TestOutOfOrder shows answers in another order than that of the pushes.
func TestOutOfOrder(t *testing.T) {
	inFrames(t, func(t peerScene) {
		t.g.Reply(scripted.Accept().Behind(2), scripted.Accept())
		p := newPeer(t.T, t.g)
		for range 4 {
			p.push()
		}
		check(t.T, p.seen(), "settings 1000 | ack | 3:200. | 1:200. | 5:200. | 7:200.")
	})
}

// TestThen shows a connection that ends in the middle of an answer.
func TestThen(t *testing.T) {
	inFrames(t, func(t peerScene) {
		t.g.Reply(scripted.Refuse(apns.BadTopic).Half().Then(scripted.CutFrame))
		p := newPeer(t.T, t.g)
		p.push()
		check(t.T, p.seen(), "settings 1000 | ack | 1:400 | ended")
	})
}

func TestFramesOfABody(t *testing.T) {
	inFrames(t, func(t peerScene) {
		t.g.Reply(scripted.Status(400, "").Body("abcdefg").Frames(3).Trailer("x", "y").Interim(103))
		p := newPeer(t.T, t.g)
		p.push()
		check(t.T, p.seen(), "settings 1000 | ack | 1:103 | 1:400 | 1:abc | 1:def | 1:g | 1:.")
	})
}

// TestRefuseOpen shows that what was not begun with does not count as processed.
func TestRefuseOpen(t *testing.T) {
	inFrames(t, func(t peerScene) {
		t.g.Reply(scripted.Accept().Delay(time.Hour))
		p := newPeer(t.T, t.g)
		_, _ = p.push(), p.push()
		check(t.T, p.seen(), "settings 1000 | ack")
		if got := t.g.Counts().Processed; got != 2 {
			t.Errorf("processed %d, want 2", got)
		}
		t.g.Do(scripted.RefuseOpen)
		check(t.T, p.seen(), "3:REFUSED_STREAM | 1:REFUSED_STREAM")
		if got := t.g.Counts(); got.Processed != 0 || got.Fates[scripted.RefusedStream] != 2 || len(t.g.Processed()) != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// TestLost shows pushes of which nobody knows what became of them.
func TestLost(t *testing.T) {
	inFrames(t, func(t peerScene) {
		t.g.Reply(scripted.Accept().Delay(time.Second))
		p := newPeer(t.T, t.g)
		p.push()
		p.headers(pushFields(tablet, 5), false)
		p.seen()
		t.g.Do(scripted.Reset)
		check(t.T, p.seen(), "ended")
		synctest.Wait()
		all := t.g.Pushes()
		if all[0].Fate != scripted.Lost || !all[0].Processed || all[1].Fate != scripted.Lost || all[1].Processed {
			t.Errorf("got %+v", all)
		}
		if got := t.g.Counts(); got.Closed != 1 {
			t.Errorf("got %+v", got)
		}
	})
}
