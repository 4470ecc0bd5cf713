package courier_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

// TestObligations has a test for each obligation of a courier, by its number
// (docs/protocol/courier.md#obligations).
func TestObligations(t *testing.T) {
	for _, tt := range []struct {
		name string
		test func(*service)
	}{
		{"01 no command that devices do not know", obligedToKnownCommands},
		{"02 timestamps increase, and stay", obligedToTimestamps},
		{"03 tokens of 32 bytes", obligedToTokenSize},
		{"04 answers each KeepAlive", obligedToAnswerKeepAlive},
		{"05 what was stored comes first", obligedToStoredFirst},
		{"06 a Filter replaces", obligedToFilter},
		{"07 answers for topics in no filter", obligedToAnswerAppToken},
		{"08 any frame is a sign of life", obligedToSignsOfLife},
		{"09 closes on what is wrong", obligedToClose},
		{"10 frames do not mix", obligedToWholeFrames},
		{"11 what waits to be written is bounded", obligedToBounds},
		{"12 takes back what is unacknowledged", obligedToTakeBack},
	} {
		t.Run(tt.name, func(t *testing.T) { bubble(t, tt.test) })
	}
}

// Every raw device checks the commands that it is sent; this one provokes as many
// answers as there are.
func obligedToKnownCommands(s *service) {
	for _, protocol := range []string{wire.ALPNSecurityV3, wire.ALPNHerald} {
		d := s.open(hello{protocols: []string{protocol}})
		d.login(s.newIdentity(), "")
		d.filter(alertTopic)
		for command := range 256 {
			if wire.Command(command) == wire.CommandConnect {
				continue
			}
			more := item(2, []byte("x"))
			if wire.Command(command) == wire.CommandChannels {
				more = item(2, []byte{8, 1}) // it has to be a request
			}
			d.send(frame(wire.Command(command)), frame(wire.Command(command), item(1, u32(1)), more, item(200, u32(1))))
		}
		synctest.Wait()
		for len(d.frames) > 0 {
			if f := <-d.frames; !slices.Contains(devicesKnow, f.Command) {
				s.t.Errorf("the courier sent %v", f.Command)
			}
		}
		d.wantNothing()
	}
}

func obligedToTimestamps(s *service) {
	id := s.newIdentity()
	d := s.login(id, "")
	token := d.token(alertTopic)
	d.ready(alertTopic)
	var last []byte
	for range 50 { // in no time
		s.push(token, alert("x"))
		n := d.want(wire.CommandNotification)
		if bytes.Compare(last, n[6]) >= 0 {
			s.t.Fatalf("timestamp %x comes after %x", n[6], last)
		}
		last = n[6]
		d.ack(n, wire.AckOK)
	}
	s.push(token, alert("again"))
	first := d.want(wire.CommandNotification)
	for range 3 {
		d.close()
		d = s.login(id, "")
		d.filter(alertTopic)
		if again := d.wantPayload(alert("again"), 3); !bytes.Equal(first[6], again[6]) || !bytes.Equal(first[3], again[3]) {
			s.t.Errorf("timestamp was %x and now is %x", first[6], again[6])
		}
	}
}

func obligedToTokenSize(s *service) {
	for range 5 {
		d := s.login(s.newIdentity(), "")
		if len(d.base) != 32 {
			s.t.Errorf("base token has %d bytes", len(d.base))
		}
		for i := range 20 {
			if token := d.token(apns.Topic(fmt.Sprintf("com.example.app%d", i))); len(token) != 32 {
				s.t.Errorf("device token has %d bytes", len(token))
			}
		}
	}
}

// appTopics returns topics that sort as they are numbered.
func appTopics(n int) (topics []apns.Topic) {
	for i := range n {
		topics = append(topics, apns.Topic(fmt.Sprintf("com.example.app%03d", i)))
	}
	return topics
}

func obligedToAnswerKeepAlive(s *service) {
	id := s.newIdentity()
	s.login(id, "").close()
	topics := appTopics(20)
	for _, topic := range topics {
		s.offer(id.id, to(topic, alert("stored")))
	}
	d := s.login(id, "")
	d.send(frame(wire.CommandKeepAlive)) // before the Filter
	d.want(wire.CommandKeepAliveResponse)
	d.filter(topics...)
	var first map[uint8][]byte
	for range 16 {
		if n := d.want(wire.CommandNotification); first == nil {
			first = n
		}
	}
	d.send(frame(wire.CommandKeepAlive)) // while no more may be written
	d.want(wire.CommandKeepAliveResponse)
	d.ack(first, wire.AckOK)
	d.want(wire.CommandNotification)
	d.send(frame(wire.CommandKeepAlive))
	d.want(wire.CommandKeepAliveResponse)
}

func obligedToStoredFirst(s *service) {
	id := s.newIdentity()
	s.login(id, "").close()
	topics := appTopics(20)
	for _, topic := range topics {
		s.offer(id.id, to(topic, alert("stored")))
	}
	d := s.login(id, "")
	d.filter(append(topics, "com.example.live")...)
	var window []map[uint8][]byte
	for range 16 {
		window = append(window, d.wantPayload(alert("stored"), 1))
	}
	s.offer(id.id, to("com.example.live", alert("live")))
	s.offer(id.id, to(topics[0], alert("newer"))) // of one that is on its way
	d.wantNothing()
	for i := range 3 {
		d.ack(window[i+1], wire.AckOK)
		d.wantPayload(alert("stored"), 1)
	}
	d.ack(window[4], wire.AckOK)
	d.wantPayload(alert("stored"), 3)
	d.ack(window[5], wire.AckOK)
	d.wantPayload(alert("live"), 0)
	d.ack(window[6], wire.AckOK)
	d.wantNothing() // the one of this topic is still on its way
	d.ack(window[0], wire.AckOK)
	d.wantPayload(alert("newer"), 0)
}

func obligedToFilter(s *service) {
	id := s.newIdentity()
	d := s.login(id, "")
	d.ready(alertTopic)
	s.offer(id.id, to(voipTopic, alert("call")))
	d.wantNothing()
	d.filter(voipTopic) // what was held back is looked at again
	d.ack(d.wantPayload(alert("call"), 0), wire.AckOK)
	s.offer(id.id, alert("hello"))
	d.wantNothing() // the former topic is not wanted any more
	d.filter(alertTopic, voipTopic)
	d.ack(d.wantPayload(alert("hello"), 0), wire.AckOK)
}

func obligedToAnswerAppToken(s *service) {
	d := s.login(s.newIdentity(), "")
	before := d.token(alertTopic) // there is no filter yet
	d.ready(voipTopic)
	if d.token(alertTopic) != before {
		s.t.Error("the device token has changed")
	}
}

func obligedToSignsOfLife(s *service) {
	d := s.login(s.newIdentity(), "")
	d.ready()
	for _, f := range [][]byte{
		frame(wire.CommandAck), frame(wire.CommandSetActiveState), frame(wire.CommandTransportAck), frame(wire.CommandFlushResponse), frame(0xfe),
	} {
		time.Sleep(35*time.Minute - time.Second)
		d.send(f)
		d.wantNothing()
	}
	d.wantClosed(35 * time.Minute)
}

func obligedToClose(s *service) {
	id := s.newIdentity()
	for name, send := range map[string][]byte{
		"an item that is too long": {7, 0, 0, 0, 3, 1, 0, 0x20},
		"a frame that is too long": {7, 0x80, 0, 0, 0},
		"a wrong first command":    frame(wire.CommandFilter, item(1, []byte(s.baseTokenOf(id)))),
		"an unknown first command": frame(0xff),
	} {
		s.t.Log(name)
		d := s.open(hello{})
		d.send(send)
		d.wantClosed(0)
	}
	s.open(hello{}).wantClosed(30 * time.Second) // no Connect
	d := s.login(id, "")
	d.send([]byte{9, 0, 0, 0, 3, 1, 0, 0x20})
	d.wantClosed(0)
}

func obligedToWholeFrames(s *service) {
	const many = 300
	id := s.newIdentity()
	d := s.login(id, "")
	topics := appTopics(many)
	d.ready(topics...)
	go func() {
		for range many {
			_, _ = d.conn.Write(frame(wire.CommandFlush, item(1, u16(777))))
		}
	}()
	go func() {
		for _, topic := range topics {
			s.offer(id.id, to(topic, alert(string(make4K()[:1500]))))
		}
	}()
	for notifications, responses := 0, 0; notifications < many || responses < many; {
		f := <-d.frames
		items := parseItems(s.t, f)
		switch f.Command {
		case wire.CommandNotification:
			notifications++
			d.ack(items, wire.AckOK)
		case wire.CommandFlushResponse:
			if responses++; !bytes.Equal(items[2], make([]byte, 777)) {
				s.t.Fatalf("FlushResponse is %x", items[2])
			}
		default:
			s.t.Fatalf("got %v", f.Command)
		}
	}
	d.wantNothing()
}

func obligedToBounds(s *service) {
	const many, window = 500, 16
	id := s.newIdentity()
	d := s.openUnread(hello{})
	d.send(id.connect(s.t, time.Now(), ""))
	synctest.Wait()
	d.base = s.baseToken(id)
	topics := appTopics(many)
	d.filter(topics...)
	synctest.Wait()
	for _, topic := range topics {
		s.offer(id.id, to(topic, alert(string(make4K()))))
	}
	synctest.Wait()
	if got := s.spool.Stats().Notifications; got != many {
		s.t.Errorf("%d are stored, want %d", got, many)
	}
	d.start()
	d.want(wire.CommandConnectAck)
	d.want(wire.CommandNoStorage)
	for range window {
		d.want(wire.CommandNotification)
	}
	d.wantNothing()
}

func obligedToTakeBack(s *service) {
	id := s.newIdentity()
	d := s.login(id, "")
	d.ready(alertTopic)
	s.offer(id.id, alert("first"))
	first := d.wantPayload(alert("first"), 0)
	must(s.t, s.spool.Close()) // as at the end of the service
	d.wantClosed(0)
	if got := s.spool.Stats().Notifications; got != 1 {
		s.t.Errorf("%d are stored, want 1", got)
	}
	_, err := d.conn.Write(frame(wire.CommandAck, item(8, []byte{0}), item(4, first[4]))) // too late
	s.t.Log(err)
	synctest.Wait()
	if got := s.spool.Stats().Notifications; got != 1 {
		s.t.Errorf("%d are stored, want 1", got)
	}
}
