package courier_test

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/wire"
)

var update = flag.Bool("update", false, "write the transcripts as they turn out")

// strictClient is a device as others have written it: it knows what it knows, and
// dies of anything else. It keeps a transcript of all that is said.
type strictClient struct {
	*rawDevice
	rules map[wire.Command]itemRules
	out   strings.Builder
	names map[string]string // of values that differ from run to run
	epoch time.Time
	// stored is the base token of an earlier connection.
	stored apns.BaseToken
}

// itemRules are what a client insists on in a message.
type itemRules struct {
	// required has the width of each item that must be there, once; zero for any.
	required map[uint8]int
	// allowed has those of items that may be there, once.
	allowed map[uint8]int
}

// devicesKnow are the commands that a device puts up with at all: it drops the
// connection at any other (docs/protocol/courier.md#commands).
var devicesKnow = []wire.Command{7, 8, 9, 10, 11, 13, 14, 15, 16, 18, 22, 23, 24, 25, 29, 30, 32, 33, 34}

// receive takes the next frame, checks it as the client does, and writes it down.
func (c *strictClient) receive(want wire.Command) map[uint8][]byte {
	c.t.Helper()
	if !slices.Contains(devicesKnow, want) {
		c.t.Fatalf("no device knows %v", want)
	}
	items := c.want(want)
	rules, ok := c.rules[want]
	if !ok {
		c.t.Fatalf("the client does not know %v", want)
	}
	for id, width := range rules.required {
		if _, ok := items[id]; !ok {
			c.t.Errorf("%v lacks item %d", want, id)
		} else if width != 0 && len(items[id]) != width {
			c.t.Errorf("item %d of %v has %d bytes, want %d", id, want, len(items[id]), width)
		}
	}
	for id, value := range items {
		if _, ok := rules.required[id]; ok {
			continue
		}
		if width, ok := rules.allowed[id]; !ok {
			c.t.Errorf("the client does not know item %d of %v", id, want)
		} else if width != 0 && len(value) != width {
			c.t.Errorf("item %d of %v has %d bytes, want %d", id, want, len(value), width)
		}
	}
	c.write("<", want, items)
	return items
}

// say sends a frame, and writes it down.
func (c *strictClient) say(f []byte) {
	c.t.Helper()
	c.send(f)
	c.write(">", wire.Command(f[0]), parseItems(c.t, wire.Frame{Command: wire.Command(f[0]), Payload: f[wire.HeaderBytes:]}))
}

func (c *strictClient) write(direction string, command wire.Command, items map[uint8][]byte) {
	fmt.Fprintf(&c.out, "%s %v", direction, command)
	for _, id := range itemIDs(items) {
		fmt.Fprintf(&c.out, " %d=%s", id, c.word(command, id, items[id]))
	}
	c.out.WriteString("\n")
}

// word returns a value as it is, if it is the same at each run, or its name.
func (c *strictClient) word(command wire.Command, id uint8, value []byte) string {
	if name, ok := c.names[string(value)]; ok {
		return "<" + name + ">"
	}
	switch {
	case command == wire.CommandConnect && id == 12:
		return "<certificate>"
	case command == wire.CommandConnect && id == 13:
		return "<nonce>"
	case command == wire.CommandConnect && id == 14:
		return fmt.Sprintf("<%x and signature>", value[:2])
	case command == wire.CommandConnectAck && id == 10:
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(value)))
		return fmt.Sprintf("<%v after the start>", at.Sub(c.epoch))
	case id == 6 && len(value) == 8:
		at := time.Unix(0, int64(binary.BigEndian.Uint64(value)))
		return fmt.Sprintf("<%v after the start>", at.Sub(c.epoch).Round(time.Second))
	case command == wire.CommandNotification && id == 3:
		return string(value)
	}
	return hex.EncodeToString(value)
}

func (c *strictClient) pause(d time.Duration) {
	time.Sleep(d)
	fmt.Fprintf(&c.out, "%v later\n", d)
}

// strictSession is what a kind of strict client does.
type strictSession struct {
	name            string
	protocolVersion uint16 // 0 leaves it out
	awakeFirst      bool   // SetActiveState before the Filter
	rules           map[wire.Command]itemRules
	// echo returns the token that the client puts in its Ack.
	echo func(c *strictClient, n map[uint8][]byte) []byte
	// asks is how long the client is silent before it sends a KeepAlive, and
	// gives up when nothing has come for patience.
	asks, patience time.Duration
	flushes        bool // sends a message to the service, and waits for the answer
}

func strictSessions() []strictSession {
	connectAck := itemRules{
		required: map[uint8]int{1: 1, 3: 32, 4: 2, 5: 2, 6: 4, 10: 8},
		allowed:  map[uint8]int{8: 2},
	}
	token := itemRules{required: map[uint8]int{1: 1, 2: 32, 3: 20}, allowed: map[uint8]int{4: 2}}
	notification := itemRules{
		required: map[uint8]int{1: 32, 2: 20, 3: 0, 4: 4},
		allowed:  map[uint8]int{5: 4, 6: 8, 7: 1, 9: 1, 13: 1, 15: 32, 21: 0, 28: 2, 29: 0},
	}
	all := map[wire.Command]itemRules{
		wire.CommandConnectAck: connectAck, wire.CommandAppTokenResponse: token, wire.CommandNotification: notification,
		wire.CommandKeepAliveResponse: {}, wire.CommandNoStorage: {required: map[uint8]int{1: 32}},
		wire.CommandAck: {required: map[uint8]int{8: 1}, allowed: map[uint8]int{1: 32, 4: 4, 6: 8}},
	}
	return []strictSession{
		{
			// Says which topics it wants at once, and again for each new one; reads
			// every item, and none that it does not know.
			name: "filter-first", protocolVersion: 11, rules: all, asks: 30 * time.Second, patience: 10 * time.Second,
			echo: func(_ *strictClient, n map[uint8][]byte) []byte { return n[1] },
		},
		{
			// Says first that it is awake, sends a message of its own, and does
			// nothing until that is answered.
			name: "awake-first", awakeFirst: true, rules: all, asks: 5 * time.Second, patience: 3 * time.Minute, flushes: true,
			echo: func(c *strictClient, _ map[uint8][]byte) []byte { return []byte(c.base) },
		},
		{
			// An older version of the protocol, and no patience.
			name: "short-patience", protocolVersion: 9, awakeFirst: true, rules: all, asks: time.Minute, patience: 15 * time.Second,
			echo: func(c *strictClient, _ map[uint8][]byte) []byte { return []byte(c.base) },
		},
	}
}

// TestStrict plays a session of each kind of strict client against the courier.
// The transcripts in testdata/strict are what was said.
func TestStrict(t *testing.T) {
	for _, kind := range strictSessions() {
		t.Run(kind.name, func(t *testing.T) {
			key := newRSAKey(t)
			bubble(t, func(s *service) {
				t := s.t
				c := &strictClient{rules: kind.rules, names: map[string]string{}, epoch: time.Now()}
				id := s.activate(key)
				token := kind.first(s, c, id)
				kind.second(s, c, id, token)
				file := filepath.Join("testdata", "strict", kind.name+".txt")
				if *update {
					must(t, os.WriteFile(file, []byte(c.out.String()), 0o600))
					return
				}
				want, err := os.ReadFile(file)
				must(t, err)
				if diff := cmp.Diff(string(want), c.out.String()); diff != "" {
					t.Errorf("transcript (-file +run):\n%s", diff)
				}
			})
		})
	}
}

// connect opens a connection and has it accepted.
func (k strictSession) connect(s *service, c *strictClient, id identity) {
	s.t.Helper()
	c.rawDevice = s.open(hello{})
	nonce := newNonce(s.t, time.Now())
	signature, err := nonce.Sign(id.key)
	must(s.t, err)
	connect := id.connectWith(c.stored, nonce[:], signature)
	if k.protocolVersion != 0 {
		connect = withItems(connect, item(16, u16(k.protocolVersion)))
	}
	c.say(connect)
	began := time.Now()
	ack := c.receive(wire.CommandConnectAck)
	if took := time.Since(began); took > k.patience {
		s.t.Errorf("ConnectAck came after %v, want it within %v", took, k.patience)
	}
	if ack[1][0] != 0 {
		s.t.Fatalf("status is %d", ack[1][0])
	}
	c.base = apns.BaseToken(ack[3])
	c.stored = c.base
	if k.awakeFirst {
		c.say(frame(wire.CommandSetActiveState, item(1, []byte{1}), item(2, u32(0x7fffffff))))
	}
}

func (c *strictClient) sayFilter(topics ...apns.Topic) {
	items := [][]byte{item(1, []byte(c.base))}
	for _, topic := range topics {
		h := topic.Hash()
		items = append(items, item(2, h[:]))
	}
	// The same id may come several times, so it is written down by itself.
	c.send(frame(wire.CommandFilter, items...))
	fmt.Fprintf(&c.out, "> Filter 1=<base token>")
	for _, topic := range topics {
		fmt.Fprintf(&c.out, " 2=%v", topic.Hash())
	}
	c.out.WriteString("\n")
}

// take receives a notification and acknowledges it.
func (k strictSession) take(c *strictClient) {
	c.t.Helper()
	n := c.receive(wire.CommandNotification)
	c.say(frame(wire.CommandAck, item(8, []byte{0}), item(4, n[4]), item(1, k.echo(c, n))))
}

// first is the first connection that the client ever has.
func (k strictSession) first(s *service, c *strictClient, id identity) apns.DeviceToken {
	s.t.Helper()
	c.names[string(s.baseTokenOf(id))] = "base token"
	k.connect(s, c, id)
	c.sayFilter() // no topic yet
	c.receive(wire.CommandNoStorage)
	if k.flushes {
		hash := apns.Topic("com.apple.madrid").Hash()
		c.say(frame(wire.CommandNotification, item(4, u32(1)), item(1, hash[:]), item(2, []byte(c.base)), item(3, []byte("{}"))))
		c.receive(wire.CommandAck)
	}
	hash := alertTopic.Hash()
	c.send(frame(wire.CommandAppToken, item(2, hash[:]), item(1, []byte(c.base))))
	fmt.Fprintf(&c.out, "> AppToken 1=<base token> 2=%v\n", hash)
	token := s.tokenOf(id, alertTopic)
	c.names[string(token)] = "device token"
	answer := c.receive(wire.CommandAppTokenResponse)
	if string(answer[2]) != string(token) {
		s.t.Errorf("device token is %x, want %x", answer[2], token)
	}
	c.sayFilter(alertTopic)
	c.pause(k.asks)
	c.say(frame(wire.CommandKeepAlive))
	c.receive(wire.CommandKeepAliveResponse)
	s.push(token, alert("live"))
	k.take(c)
	c.wantNothing()
	c.close()
	c.out.WriteString("closes\n")
	return token
}

// second is a later connection, for which something was stored.
func (k strictSession) second(s *service, c *strictClient, id identity, token apns.DeviceToken) {
	s.t.Helper()
	c.pause(time.Hour)
	voip := s.tokenOf(id, voipTopic)
	c.names[string(voip)] = "VoIP token"
	s.push(token, alert("overwritten"))
	s.push(token, alert("stored"))
	s.push(voip, to(voipTopic, alert("call")))
	c.pause(time.Hour)
	k.connect(s, c, id)
	c.sayFilter(alertTopic, voipTopic)
	k.take(c)
	k.take(c)
	c.wantNothing()
	for range 3 {
		c.pause(k.asks)
		c.say(frame(wire.CommandKeepAlive))
		c.receive(wire.CommandKeepAliveResponse)
	}
	s.push(token, alert("live again"))
	k.take(c)
	c.wantNothing()
	c.say(frame(wire.CommandConnect, item(1, []byte(c.base)), item(2, []byte{2})))
	c.wantClosed(0)
	c.out.WriteString("the courier closes\n")
}

// baseTokenOf enters a device that has never connected, and returns its base
// token.
func (s *service) baseTokenOf(id identity) apns.BaseToken {
	s.t.Helper()
	device, err := s.registry.EnterDevice(s.t.Context(), id.id)
	must(s.t, err)
	return s.registry.BaseToken(device, apns.Sandbox)
}

// tokenOf returns the device token of an app.
func (s *service) tokenOf(id identity, topic apns.Topic) apns.DeviceToken {
	s.t.Helper()
	device, err := s.registry.Device(s.t.Context(), id.id)
	must(s.t, err)
	token, err := s.registry.DeviceToken(s.t.Context(), apns.Address{Device: device, Environment: apns.Sandbox, Topic: topic.Hash()})
	must(s.t, err)
	return token
}
