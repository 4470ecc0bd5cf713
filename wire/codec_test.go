package wire

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
)

// codec is one message with what the tests of all messages need.
type codec struct {
	name    string
	command Command
	parse   func(payload []byte) (message, error)
	draw    func(t *rapid.T) message
}

func newCodec[M message](name string, c Command, parse func([]byte) (M, error), draw func(*rapid.T) M) codec {
	return codec{
		name, c,
		func(payload []byte) (message, error) {
			m, err := parse(payload)
			if err != nil {
				return nil, err
			}
			return m, nil
		},
		func(t *rapid.T) message { return draw(t) },
	}
}

// codecs has every message, with a generator of those that survive a round
// trip unchanged.
var codecs = []codec{
	newCodec("Connect", CommandConnect, ParseConnect, func(t *rapid.T) Connect {
		m := Connect{
			BaseToken:       drawBaseToken(t),
			State:           ConnectState(rapid.Byte().Draw(t, "state")),
			Flags:           rapid.Uint32().Draw(t, "flags"),
			HasInterface:    rapid.Bool().Draw(t, "has interface"),
			ActiveInterval:  drawSeconds(t, "active interval"),
			Carrier:         drawString(t, "carrier"),
			OSVersion:       drawString(t, "OS version"),
			OSBuild:         drawString(t, "OS build"),
			HardwareModel:   drawString(t, "hardware model"),
			Certificates:    drawList(t, MaxCertificates, func(t *rapid.T) []byte { return drawBytes(t, 1, "certificate") }),
			Signature:       drawBytes(t, 0, "signature"),
			ProtocolVersion: rapid.Uint16().Draw(t, "protocol version"),
			Redirects:       rapid.Uint16().Draw(t, "redirects"),
			LastConnected:   drawTime(t, "last connected"),
			LastDisconnect:  rapid.Uint32().Draw(t, "last disconnect"),
			LookupTime:      drawShortMillis(t, "lookup"),
			TLSTime:         drawShortMillis(t, "TLS"),
			TCPTime:         drawShortMillis(t, "TCP"),
			HostInfo:        drawBytes(t, 0, "host info"),
			MigrationReason: rapid.Uint32().Draw(t, "migration reason"),
			MigrationFlags:  rapid.Uint32().Draw(t, "migration flags"),
			WantedPSKs:      rapid.Byte().Draw(t, "PSKs"),
			Failures: drawList(t, MaxFailures, func(t *rapid.T) ConnectFailure {
				return ConnectFailure{rapid.Uint32().Draw(t, "code"), rapid.Uint16().Draw(t, "count")}
			}),
			Received: drawList(t, 5, func(t *rapid.T) Received {
				return Received{drawTopicHash(t), rapid.Uint64().Draw(t, "timestamp")}
			}),
		}
		if m.HasInterface {
			m.Interface = Interface(rapid.Byte().Draw(t, "interface"))
		}
		copy(m.Nonce[:], rapid.SliceOfN(rapid.Byte(), 0, NonceBytes).Draw(t, "nonce"))
		return m
	}),
	newCodec("ConnectAck", CommandConnectAck, ParseConnectAck, func(t *rapid.T) ConnectAck {
		m := ConnectAck{
			Status:            ConnectStatus(rapid.Byte().Draw(t, "status")),
			RedirectHost:      drawString(t, "redirect host"),
			BaseToken:         drawBaseToken(t),
			MaxMessageBytes:   rapid.Uint16().Draw(t, "max message"),
			Capabilities:      rapid.Uint32().Draw(t, "capabilities"),
			NonceTime:         drawTime(t, "nonce time"),
			LargeMessageBytes: rapid.Uint16().Draw(t, "large message"),
			RedirectReason:    drawString(t, "redirect reason"),
			Time:              drawTime(t, "time"),
			Region:            drawString(t, "region"),
			OtherTime:         rapid.Uint64().Draw(t, "other time"),
			InvalidReason:     drawString(t, "invalid reason"),
			HasPSKStatus:      rapid.Bool().Draw(t, "has PSK status"),
			IdleLimit:         drawSeconds(t, "idle limit"),
			Window:            rapid.Uint16().Draw(t, "window"),
		}
		if m.HasPSKStatus {
			m.PSKStatus = rapid.Byte().Draw(t, "PSK status")
		}
		if n := rapid.SampledFrom([]int{0, 4, 16}).Draw(t, "address size"); n > 0 {
			m.PublicIP = rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "address")
		}
		return m
	}),
	newCodec("FilterResponse", CommandFilter, ParseFilterResponse, func(t *rapid.T) FilterResponse {
		return FilterResponse{drawBaseToken(t), rapid.Uint64().Draw(t, "version"), FilterStatus(rapid.Byte().Draw(t, "status"))}
	}),
	newCodec("FilterUpdate", CommandFilterUpdate, ParseFilterUpdate, func(t *rapid.T) FilterUpdate {
		return FilterUpdate{drawBaseToken(t), rapid.Uint64().Draw(t, "version"), FilterUpdateStatus(rapid.Byte().Draw(t, "status"))}
	}),
	newCodec("TaskControl", CommandTaskControl, ParseTaskControl, drawTask),
	newCodec("TaskNotification", CommandTaskNotification, ParseTaskNotification, func(t *rapid.T) TaskNotification {
		return TaskNotification(drawTask(t))
	}),
	newCodec("TracingAck", CommandTracingAck, ParseTracingAck, func(t *rapid.T) TracingAck {
		m := TracingAck{
			TopicHash: drawTopicHash(t), Status: rapid.Byte().Draw(t, "status"), DeviceToken: apns.DeviceToken(drawToken(t)),
		}
		copy(m.TracingID[:], rapid.SliceOfN(rapid.Byte(), 0, TracingIDBytes).Draw(t, "tracing id"))
		return m
	}),
	newCodec("Presence", CommandPresence, ParsePresence, func(t *rapid.T) Presence {
		return Presence{
			ID: rapid.Uint32().Draw(t, "id"), Token: apns.DeviceToken(drawToken(t)), Salt: rapid.Uint64().Draw(t, "salt"),
			Flag: rapid.Uint32().Draw(t, "flag"), Time: drawTime(t, "time"),
		}
	}),
	newCodec("PresenceResponse", CommandPresence, ParsePresenceResponse, func(t *rapid.T) PresenceResponse {
		return PresenceResponse{rapid.Uint32().Draw(t, "id"), apns.DeviceToken(drawToken(t)), rapid.Byte().Draw(t, "status")}
	}),
	newCodec("Filter", CommandFilter, ParseFilter, func(t *rapid.T) Filter {
		return Filter{
			Version:       rapid.Uint64().Draw(t, "version"),
			BaseToken:     drawBaseToken(t),
			Enabled:       drawList(t, 5, drawTopicHash),
			Ignored:       drawList(t, 5, drawTopicHash),
			Opportunistic: drawList(t, 5, drawTopicHash),
			Paused:        drawList(t, 5, drawTopicHash),
			NonWaking:     drawList(t, 5, drawTopicHash),
		}
	}),
	newCodec("Notification", CommandNotification, ParseNotification, func(t *rapid.T) Notification {
		m := Notification{
			DeviceToken: apns.DeviceToken(drawToken(t)),
			TopicHash:   drawTopicHash(t),
			Payload:     drawBytes(t, 0, "payload"),
			MessageID:   rapid.Uint32().Draw(t, "message id"),
			Expiry:      rapid.Uint32().Draw(t, "expiry"),
			Timestamp:   rapid.Uint64().Draw(t, "timestamp"),
			Storage:     StorageFlags(rapid.Byte().Draw(t, "storage")),
			Priority:    rapid.SampledFrom([]apns.Priority{0, apns.PriorityPower, apns.PriorityConserve, apns.PriorityImmediate}).Draw(t, "priority"),
			BaseToken:   drawBaseToken(t),
			ID:          apns.NotificationID(drawString(t, "id")),
			PushType:    apns.PushType(drawString(t, "push type")),
			Topic:       apns.Topic(drawString(t, "topic")),
			CollapseID:  apns.CollapseID(drawString(t, "collapse id")),
		}
		m.TracingID = [TracingIDBytes]byte(rapid.SliceOfN(rapid.Byte(), TracingIDBytes, TracingIDBytes).Draw(t, "tracing id"))
		m.Flags = NotificationFlags(rapid.Uint32().Draw(t, "flags"))
		if m.Channel = drawChannelID(t); m.Channel != "" {
			m.Checkpoint = rapid.Uint64().Draw(t, "checkpoint")
		}
		return m
	}),
	newCodec("SendMessage", CommandNotification, ParseSendMessage, func(t *rapid.T) SendMessage {
		m := SendMessage{TopicHash: drawTopicHash(t), DeviceToken: apns.DeviceToken(drawToken(t)), Payload: drawBytes(t, 0, "payload")}
		m.MessageID, m.HasMessageID = drawMessageID(t)
		return m
	}),
	newCodec("Ack", CommandAck, ParseAck, func(t *rapid.T) Ack {
		m := Ack{Status: AckStatus(rapid.Byte().Draw(t, "status")), Destination: drawToken(t), First: rapid.Uint32().Draw(t, "first")}
		m.MessageID, m.HasMessageID = drawMessageID(t)
		return m
	}),
	newCodec("SendMessageAck", CommandAck, ParseSendMessageAck, func(t *rapid.T) SendMessageAck {
		m := SendMessageAck{
			Status:      SendStatus(rapid.Byte().Draw(t, "status")),
			Timestamp:   rapid.Uint64().Draw(t, "timestamp"),
			Destination: drawToken(t),
		}
		m.MessageID, m.HasMessageID = drawMessageID(t)
		return m
	}),
	newCodec("KeepAlive", CommandKeepAlive, ParseKeepAlive, func(t *rapid.T) KeepAlive {
		text := func(label string) []byte {
			if s := drawString(t, label); s != "" {
				return []byte(s)
			}
			return nil
		}
		return KeepAlive{
			Carrier: text("carrier"), OSVersion: text("OS version"), OSBuild: text("OS build"), HardwareModel: text("hardware model"),
			Interval:      time.Duration(rapid.IntRange(0, 24*60).Draw(t, "interval")) * time.Minute,
			ResponseDelay: time.Duration(rapid.IntRange(0, 24*60*60).Draw(t, "response delay")) * time.Second,
		}
	}),
	newCodec("KeepAliveResponse", CommandKeepAliveResponse, ParseKeepAliveResponse, func(t *rapid.T) KeepAliveResponse {
		if !rapid.Bool().Draw(t, "has code") {
			return KeepAliveResponse{}
		}
		return KeepAliveResponse{HasCode: true, Code: KeepAliveCode(rapid.Byte().Draw(t, "code"))}
	}),
	newCodec("NoStorage", CommandNoStorage, ParseNoStorage, func(t *rapid.T) NoStorage {
		return NoStorage{BaseToken: drawBaseToken(t)}
	}),
	newCodec("Flush", CommandFlush, ParseFlush, func(t *rapid.T) Flush {
		return Flush{Wanted: rapid.Uint16().Draw(t, "wanted"), Padding: rapid.Uint16Max(2000).Draw(t, "padding")}
	}),
	newCodec("FlushResponse", CommandFlushResponse, ParseFlushResponse, func(t *rapid.T) FlushResponse {
		return FlushResponse{Padding: rapid.Uint16Max(2000).Draw(t, "padding")}
	}),
	newCodec("AppToken", CommandAppToken, ParseAppToken, func(t *rapid.T) AppToken {
		return AppToken{
			TopicHash: drawTopicHash(t),
			BaseToken: drawBaseToken(t),
			AppID:     rapid.Uint16().Draw(t, "app id"),
			Type:      rapid.Uint16().Draw(t, "type"),
			Lifetime:  drawSeconds(t, "lifetime"),
		}
	}),
	newCodec("AppTokenResponse", CommandAppTokenResponse, ParseAppTokenResponse, func(t *rapid.T) AppTokenResponse {
		return AppTokenResponse{
			Status:      AppTokenStatus(rapid.Byte().Draw(t, "status")),
			DeviceToken: apns.DeviceToken(drawToken(t)),
			TopicHash:   drawTopicHash(t),
			AppID:       rapid.Uint16().Draw(t, "app id"),
		}
	}),
	newCodec("SetActiveInterval", CommandSetActiveInterval, ParseSetActiveInterval, func(t *rapid.T) SetActiveInterval {
		return SetActiveInterval{Interval: drawSeconds(t, "interval")}
	}),
	newCodec("SetActiveState", CommandSetActiveState, ParseSetActiveState, func(t *rapid.T) SetActiveState {
		m := SetActiveState{State: ActiveState(rapid.Byte().Draw(t, "state"))}
		if m.State == Active {
			m.For = drawSeconds(t, "for")
		}
		return m
	}),
	newCodec("TransportAck", CommandTransportAck, ParseTransportAck, func(*rapid.T) TransportAck { return TransportAck{} }),
	newCodec("KeepAliveAck", CommandKeepAliveAck, ParseKeepAliveAck, func(*rapid.T) KeepAliveAck { return KeepAliveAck{} }),
	newCodec("Redirect", CommandRedirect, ParseRedirect, func(t *rapid.T) Redirect {
		m := Redirect{Host: drawString(t, "host"), Reason: drawString(t, "reason"), HasRetryAfter: rapid.Bool().Draw(t, "has retry after")}
		if m.HasRetryAfter {
			m.RetryAfter = drawSeconds(t, "retry after")
		}
		return m
	}),
	newCodec("CancelKeepAlive", CommandCancelKeepAlive, ParseCancelKeepAlive, func(*rapid.T) CancelKeepAlive { return CancelKeepAlive{} }),
	newCodec("Subscriptions", CommandChannels, ParseSubscriptions, func(t *rapid.T) Subscriptions {
		return Subscriptions{
			RequestID: rapid.Uint32().Draw(t, "request id"),
			BaseToken: drawBaseToken(t),
			Full:      rapid.Bool().Draw(t, "full"),
			Sequence:  rapid.Uint64().Draw(t, "sequence"),
			Apps:      drawList(t, 3, drawAppSubscriptions),
		}
	}),
	newCodec("SubscriptionsResponse", CommandChannels, ParseSubscriptionsResponse, func(t *rapid.T) SubscriptionsResponse {
		return SubscriptionsResponse{
			RequestID:  rapid.Uint32().Draw(t, "request id"),
			BaseToken:  drawBaseToken(t),
			Status:     SubscriptionsStatus(rapid.Byte().Draw(t, "status")),
			RetryAfter: drawSeconds(t, "retry after"),
			Apps:       drawList(t, 3, drawAppChannelResults),
		}
	}),
	newCodec("ChannelUpdate", CommandChannelUpdate, ParseChannelUpdate, func(t *rapid.T) ChannelUpdate {
		return ChannelUpdate{
			UpdateID:  rapid.Uint32().Draw(t, "update id"),
			BaseToken: drawBaseToken(t),
			Timestamp: rapid.Uint64().Draw(t, "timestamp"),
			Resend:    rapid.Bool().Draw(t, "resend"),
			Apps:      drawList(t, 3, drawAppChannelResults),
		}
	}),
}

// codecOf returns the codec of the type of m.
func codecOf(t *testing.T, m message) codec {
	t.Helper()
	i := slices.IndexFunc(codecs, func(c codec) bool { return typeName(m) == c.name })
	if i < 0 {
		t.Fatalf("%T has no codec", m)
	}
	return codecs[i]
}

func drawToken(t *rapid.T) []byte {
	if !rapid.Bool().Draw(t, "has token") {
		return nil
	}
	return rapid.SliceOfN(rapid.Byte(), apns.CourierTokenBytes, apns.CourierTokenBytes).Draw(t, "token")
}

func drawBaseToken(t *rapid.T) apns.BaseToken { return apns.BaseToken(drawToken(t)) }

func drawTopicHash(t *rapid.T) apns.TopicHash {
	return apns.Topic(rapid.StringN(1, 20, 20).Draw(t, "topic")).Hash()
}

func drawMessageID(t *rapid.T) (id uint32, ok bool) {
	if !rapid.Bool().Draw(t, "has message id") {
		return 0, false
	}
	return rapid.Uint32().Draw(t, "message id"), true
}

func drawString(t *rapid.T, label string) string {
	return rapid.StringN(0, -1, MaxStringBytes).Draw(t, label)
}

func drawSeconds(t *rapid.T, label string) time.Duration {
	return time.Duration(rapid.Uint32().Draw(t, label)) * time.Second
}

func drawShortMillis(t *rapid.T, label string) time.Duration {
	return time.Duration(rapid.Uint16().Draw(t, label)) * time.Millisecond
}

func drawTask(t *rapid.T) TaskControl {
	m := TaskControl{ID: rapid.Uint32().Draw(t, "id"), Payload: drawBytes(t, 0, "payload"), HasStatus: rapid.Bool().Draw(t, "has status")}
	if m.HasStatus {
		m.Status = rapid.Byte().Draw(t, "status")
	}
	return m
}

func drawTime(t *rapid.T, label string) time.Time {
	if n := rapid.Int64Range(0, math.MaxInt64).Draw(t, label); n > 0 {
		return time.UnixMilli(n).UTC()
	}
	return time.Time{}
}

func drawBytes(t *rapid.T, least int, label string) []byte {
	if b := rapid.SliceOfN(rapid.Byte(), least, 300).Draw(t, label); len(b) > 0 {
		return b
	}
	return nil
}

func drawList[E any](t *rapid.T, most int, draw func(*rapid.T) E) []E {
	var list []E
	for range rapid.IntRange(0, most).Draw(t, "length") {
		list = append(list, draw(t))
	}
	return list
}

// TestRoundTrip checks that random messages come back as they went, that no
// proper prefix of their frames is taken for a frame, and that neither the
// order of their items nor unknown ones among them matter.
func TestRoundTrip(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := c.draw(t)
				frame := m.Append(nil)
				f, n, err := NextFrame(frame, math.MaxInt32)
				if err != nil || n != len(frame) || f.Command != c.command {
					t.Fatalf("NextFrame: got %v, %d, %v, want %v, %d", f.Command, n, err, c.command, len(frame))
				}
				checkParse(t, c, f.Payload, m)

				known := splitItems(f.Payload)
				shuffled := stableShuffle(known, rapid.Uint64().Draw(t, "seed"))
				checkParse(t, c, bytes.Join(shuffled, nil), m)

				unknown := []byte{rapid.ByteRange(100, 199).Draw(t, "unknown id"), 0, 2, 7, 7}
				at := rapid.IntRange(0, len(known)).Draw(t, "place of the unknown item")
				checkParse(t, c, bytes.Join(slices.Insert(slices.Clone(known), at, unknown), nil), m)
			})
		})
	}
}

func checkParse(t *rapid.T, c codec, payload []byte, want message) {
	t.Helper()
	got, err := c.parse(payload)
	if err != nil {
		t.Fatalf("parsing %x: %v", payload, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("parsing %x (-want +got):\n%s", payload, diff)
	}
}

// splitItems returns the items of a well-formed payload.
func splitItems(payload []byte) [][]byte {
	var list [][]byte
	for it := (items{rest: payload}); it.next(); {
		list = append(list, appendItem(nil, it.id, it.value))
	}
	return list
}

// stableShuffle shuffles items, but keeps those of one id in order.
func stableShuffle(list [][]byte, seed uint64) [][]byte {
	rank := map[byte]int{}
	for i, n := range rand.New(rand.NewPCG(seed, 0)).Perm(256) { //nolint:gosec // a test
		rank[byte(i)] = n
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b []byte) int { return rank[a[0]] - rank[b[0]] })
	return list
}

// TestPrefixes checks that each proper prefix of each vector is refused, both
// as bytes read and as a frame that claims to end there.
func TestPrefixes(t *testing.T) {
	for _, v := range vectors() {
		t.Run(v.name, func(t *testing.T) {
			frame, c := mustHex(v.hex), codecOf(t, v.message)
			for n := range len(frame) {
				if _, used, err := NextFrame(frame[:n:n], MaxPayloadBytes); !errors.Is(err, ErrIncomplete) || used != 0 {
					t.Errorf("NextFrame of %d bytes: got %d, %v, want ErrIncomplete", n, used, err)
				}
			}

			payload := frame[HeaderBytes:]
			boundary := map[int]bool{0: true}
			end := 0
			for _, item := range splitItems(payload) {
				end += len(item)
				boundary[end] = true
			}
			for n := range len(payload) {
				m, err := c.parse(payload[:n:n])
				switch {
				case err != nil:
					if !errors.Is(err, ErrMalformed) || m != nil {
						t.Errorf("payload cut to %d bytes: got %v, %v, want ErrMalformed", n, m, err)
					}
				case !boundary[n]:
					t.Errorf("payload cut to %d bytes, inside an item: accepted as %+v", n, m)
				case cmp.Equal(m, v.message):
					t.Errorf("payload cut to %d bytes: taken for the whole", n)
				}
			}
		})
	}
}

// TestAppendDoesNotAllocate checks that every message is written into spare
// room as it is.
func TestAppendDoesNotAllocate(t *testing.T) {
	b := make([]byte, 0, 4096)
	for _, v := range vectors() {
		if got := testing.AllocsPerRun(100, func() { b = v.message.Append(b[:0]) }); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", v.name, got)
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	var err error
	for _, v := range vectors() {
		payload := mustHex(v.hex)[HeaderBytes:]
		var parse func()
		switch v.message.(type) {
		case Ack:
			parse = func() { _, err = ParseAck(payload) }
		case SendMessageAck:
			parse = func() { _, err = ParseSendMessageAck(payload) }
		case KeepAlive:
			parse = func() { _, err = ParseKeepAlive(payload) }
		case KeepAliveResponse:
			parse = func() { _, err = ParseKeepAliveResponse(payload) }
		case SetActiveState:
			parse = func() { _, err = ParseSetActiveState(payload) }
		default:
			continue
		}
		if got := testing.AllocsPerRun(100, parse); got != 0 || err != nil {
			t.Errorf("%s: got %v allocations and %v, want none", v.name, got, err)
		}
	}
	frame := Ack{MessageID: 1, HasMessageID: true}.Append(nil)
	if got := testing.AllocsPerRun(100, func() { _, _, err = NextFrame(frame, MaxPayloadBytes) }); got != 0 || err != nil {
		t.Errorf("NextFrame: got %v allocations and %v, want none", got, err)
	}
}
