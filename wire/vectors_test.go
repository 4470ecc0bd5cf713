package wire

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

// The nouns of the vectors.
const (
	vectorTopic       = apns.Topic("com.example.app")
	vectorBaseToken   = apns.BaseToken("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f")
	vectorDeviceToken = apns.DeviceToken("\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f\x70\x71\x72\x73\x74\x75\x76\x77\x78\x79\x7a\x7b\x7c\x7d\x7e\x7f\x80\x81\x82\x83")
	vectorNonce       = "000000018bcfe56800a1a2a3a4a5a6a7a8"
)

var vectorTime = time.UnixMilli(1700000000000).UTC()

// message is what all messages can do.
type message interface{ Append(b []byte) []byte }

// vector is a message and the bytes of its frame.
type vector struct {
	name    string
	message message
	hex     string // spaces are for the reader
}

// vectors has one frame or more of every message, as Append writes it.
func vectors() []vector {
	const (
		base   = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		device = "6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283"
		topic  = "a003f1da17993ee51f2b3ceef6c6153afa8f3ec2"
	)
	hash := vectorTopic.Hash()
	return []vector{
		{
			"first Connect",
			Connect{
				State:           StateOnline,
				Flags:           0x41,
				Certificates:    [][]byte{{0x30, 0x00}, {0x30, 0x01, 0x05}},
				Nonce:           Nonce(mustHex(vectorNonce)),
				Signature:       []byte{1, 1, 0xff},
				ProtocolVersion: 11,
			},
			"07 00000035  02 0001 01  05 0004 00000041  0c 0002 3000  0c 0003 300105  0d 0011 " + vectorNonce +
				"  0e 0003 0101ff  10 0002 000b",
		},
		{
			"later Connect",
			Connect{
				BaseToken: vectorBaseToken, State: StateOnline, HasInterface: true, Interface: InterfaceCellular,
				ActiveInterval: 10 * time.Minute, Carrier: "WiFi", OSVersion: "17.0", OSBuild: "21A329", HardwareModel: "iPhone15,2",
				Redirects: 2, LastConnected: vectorTime, LastDisconnect: 1000,
			},
			"07 0000006d  01 0020 " + base + "  02 0001 01  06 0001 00  07 0004 00000258  08 0004 57694669  09 0004 31372e30" +
				"  0a 0006 323141333239  0b 000a 6950686f6e6531352c32  11 0002 0002  16 0008 0000018bcfe56800  1a 0004 000003e8",
		},
		{
			"Connect with all that is rare",
			Connect{
				BaseToken: vectorBaseToken, State: StateOnline, LookupTime: 20 * time.Millisecond, TLSTime: 65 * time.Second, TCPTime: time.Millisecond,
				Failures: []ConnectFailure{{Code: 61, Count: 2}, {Code: 60, Count: 1}}, HostInfo: []byte{8, 1},
				MigrationReason: 3, MigrationFlags: 2, WantedPSKs: 4,
			},
			"07 0000005f  01 0020 " + base + "  02 0001 01  13 0002 0014  14 0002 fde8  15 0006 0000003d0002  15 0006 0000003c0001" +
				"  19 0002 0001  1d 0002 0801  1e 0004 00000003  1f 0004 00000002  20 0001 04",
		},
		{
			"Connect that resumes",
			Connect{
				BaseToken: vectorBaseToken, State: StateOnline,
				Received: []Received{{TopicHash: hash, Timestamp: 1700000000 * 1e9}, {Timestamp: 1}},
			},
			"07 00000065  01 0020 " + base + "  02 0001 01  c8 001c " + topic + " 17979cfe362a0000  c8 001c " +
				strings.Repeat("00", 20) + " 0000000000000001",
		},
		{
			"offline Connect",
			Connect{BaseToken: vectorBaseToken, State: StateOffline},
			"07 00000027  01 0020 " + base + "  02 0001 02",
		},
		{
			"ConnectAck",
			ConnectAck{
				BaseToken: vectorBaseToken, MaxMessageBytes: DefaultMaxMessageBytes, LargeMessageBytes: DefaultLargeMessageBytes,
				Time: vectorTime, Region: "EU",
			},
			"080000004d01000100030020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" +
				"04000210000500020002060004000000000800023c000a00080000018bcfe568000b00024555",
		},
		{
			"ConnectAck for a wrong clock",
			ConnectAck{Status: StatusInvalid, NonceTime: vectorTime},
			"08 0000001b  01 0001 02  05 0002 0002  06 0004 00000000  07 0008 0000018bcfe56800",
		},
		{
			"ConnectAck with a redirect",
			ConnectAck{RedirectHost: "a.b", RedirectReason: "x"},
			"08 0000001a  01 0001 00  02 0003 612e62  05 0002 0002  06 0004 00000000  09 0001 78",
		},
		{
			"ConnectAck with all that is rare",
			ConnectAck{
				Status: StatusInvalid, OtherTime: 7, PublicIP: []byte{192, 0, 2, 1}, InvalidReason: "no", HasPSKStatus: true,
			},
			"08 0000002b  01 0001 02  05 0002 0002  06 0004 00000000  0c 0008 0000000000000007  13 0004 c0000201  15 0002 6e6f  16 0001 00",
		},
		{
			"ConnectAck of Herald's",
			ConnectAck{BaseToken: vectorBaseToken, PublicIP: mustHex("20010db8000000000000000000000001"), IdleLimit: 35 * time.Minute, Window: 16},
			"08 00000052  01 0001 00  03 0020 " + base + "  05 0002 0002  06 0004 00000000  13 0010 20010db8000000000000000000000001" +
				"  c8 0004 00000834  c9 0002 0010",
		},
		{
			"FilterResponse",
			FilterResponse{BaseToken: vectorBaseToken, Version: 3, Status: FilterTaken},
			"09 00000032  01 0020 " + base + "  02 0008 0000000000000003  03 0001 01",
		},
		{
			"FilterUpdate",
			FilterUpdate{BaseToken: vectorBaseToken, Status: FilterUpdateResend},
			"21 00000027  01 0020 " + base + "  03 0001 02",
		},
		{
			"TaskControl",
			TaskControl{ID: 5, Payload: []byte("hi")},
			"18 0000000c  01 0004 00000005  02 0002 6869",
		},
		{"TaskNotification", TaskNotification{Payload: []byte("hi")}, "19 00000005  02 0002 6869"},
		{"TaskNotification with a status", TaskNotification{ID: 5, HasStatus: true}, "19 0000000b  01 0004 00000005  03 0001 00"},
		{
			"TracingAck",
			TracingAck{TopicHash: hash, TracingID: [16]byte(mustHex("eabeae5414a811e5b60b1697f925ec7b")), DeviceToken: vectorDeviceToken},
			"1b 00000051  01 0014 " + topic + "  02 0010 eabeae5414a811e5b60b1697f925ec7b  03 0001 00  04 0020 " + device,
		},
		{
			"Presence",
			Presence{ID: 9, Token: vectorDeviceToken, Salt: 2, Flag: 1, Time: vectorTime},
			"20 00000047  01 0004 00000009  02 0020 " + device + "  03 0008 0000000000000002  04 0004 00000001  05 0008 0000018bcfe56800",
		},
		{
			"PresenceResponse",
			PresenceResponse{ID: 9, Token: vectorDeviceToken},
			"20 0000002e  01 0004 00000009  02 0020 " + device + "  03 0001 00",
		},
		{
			"Filter",
			Filter{BaseToken: vectorBaseToken, Enabled: []apns.TopicHash{hash}},
			"090000003a010020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f020014a003f1da17993ee51f2b3ceef6c6153afa8f3ec2",
		},
		{
			"Filter with all lists",
			Filter{
				Version: 3, BaseToken: vectorBaseToken,
				Enabled: []apns.TopicHash{hash, {1}}, Ignored: []apns.TopicHash{{2}}, Opportunistic: []apns.TopicHash{{3}},
				Paused: []apns.TopicHash{{4}}, NonWaking: []apns.TopicHash{{5}},
			},
			"09 000000b8  0c 0008 0000000000000003  01 0020 " + base + "  02 0014 " + topic + listed("02", 1) +
				listed("03", 2) + listed("04", 3) + listed("06", 5) + listed("05", 4),
		},
		{
			"Notification",
			Notification{
				DeviceToken: vectorDeviceToken, TopicHash: hash, Payload: apns.Payload(`{"aps":{"alert":"hi"}}`), MessageID: 42,
				Expiry: NoExpiry, Timestamp: 1700000000 * 1e9, Storage: Stored, Priority: apns.PriorityImmediate, BaseToken: vectorBaseToken,
			},
			"0a000000970100206465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283020014a003f1da17993ee51f2b3ceef6c6153afa8f3ec2" +
				"0300167b22617073223a7b22616c657274223a226869227d7d0400040000002a050004ffffffff06000817979cfe362a000009000101" +
				"0d00010a0f0020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		},
		{
			"Notification with extensions",
			Notification{
				DeviceToken: vectorDeviceToken, TopicHash: hash, Payload: apns.Payload(`{}`), MessageID: 1,
				ID: "eabeae54-14a8-11e5-b60b-1697f925ec7b", PushType: apns.PushTypeAlert, Topic: vectorTopic, CollapseID: "c",
			},
			"0a 00000092  01 0020 " + device + "  02 0014 " + topic + "  03 0002 7b7d  04 0004 00000001  05 0004 00000000" +
				"  c8 0024 65616265616535342d313461382d313165352d623630622d313639376639323565633762" +
				"  c9 0005 616c657274  ca 000f 636f6d2e6578616d706c652e617070  cb 0001 63",
		},
		{
			"SendMessage",
			SendMessage{MessageID: 7, HasMessageID: true, TopicHash: hash, DeviceToken: vectorDeviceToken, Payload: apns.Payload("hi")},
			"0a 00000046  04 0004 00000007  01 0014 " + topic + "  02 0020 " + device + "  03 0002 6869",
		},
		{"Ack", Ack{MessageID: 42, HasMessageID: true}, "0b0000000b080001000400040000002a"},
		{
			"Ack with token",
			Ack{Status: AckNotOurs, MessageID: 42, HasMessageID: true, Destination: []byte(vectorDeviceToken)},
			"0b 0000002e  08 0001 02  04 0004 0000002a  01 0020 " + device,
		},
		{
			"Ack of several",
			Ack{MessageID: 42, HasMessageID: true, First: 40},
			"0b 00000012  08 0001 00  04 0004 0000002a  c8 0004 00000028",
		},
		{
			"SendMessageAck",
			SendMessageAck{Status: SendInvalid, Timestamp: 1, MessageID: 7, HasMessageID: true, Destination: []byte(vectorDeviceToken)},
			"0b 00000039  08 0001 03  06 0008 0000000000000001  04 0004 00000007  01 0020 " + device,
		},
		{
			"KeepAlive",
			KeepAlive{
				Carrier: []byte("WiFi"), OSVersion: []byte("17.0"), OSBuild: []byte("21A329"), HardwareModel: []byte("iPhone15,2"),
				Interval: 10 * time.Minute,
			},
			"0c000000290100045769466902000431372e3003000632314133323904000a6950686f6e6531352c320500023130",
		},
		{"empty KeepAlive", KeepAlive{}, "0c 00000000"},
		{"KeepAlive of version 2", KeepAlive{ResponseDelay: 15 * time.Minute}, "0c 00000006  06 0003 393030"},
		{"KeepAliveResponse", KeepAliveResponse{}, "0d00000000"},
		{"KeepAliveResponse of version 2", KeepAliveResponse{HasCode: true, Code: KeepAliveGrow}, "0d 00000004  01 0001 00"},
		{"NoStorage", NoStorage{BaseToken: vectorBaseToken}, "0e00000023010020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
		{"Flush", Flush{Wanted: 128, Padding: 4}, "0f 0000000c  01 0002 0080  02 0004 00000000"},
		{"FlushResponse", FlushResponse{Padding: 3}, "10 00000006  02 0003 000000"},
		{
			"AppToken",
			AppToken{TopicHash: hash, BaseToken: vectorBaseToken},
			"110000003a020014a003f1da17993ee51f2b3ceef6c6153afa8f3ec2010020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		},
		{
			"AppToken with all items",
			AppToken{TopicHash: hash, BaseToken: vectorBaseToken, AppID: 0x1234, Type: 2, Lifetime: time.Hour},
			"11 0000004b  02 0014 " + topic + "  01 0020 " + base + "  03 0002 1234  04 0002 0002  05 0004 00000e10",
		},
		{
			"AppTokenResponse",
			AppTokenResponse{DeviceToken: vectorDeviceToken, TopicHash: hash},
			"120000003e010001000200206465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283030014a003f1da17993ee51f2b3ceef6c6153afa8f3ec2",
		},
		{
			"AppTokenResponse that refuses",
			AppTokenResponse{Status: AppTokenTryLater, TopicHash: hash, AppID: 0x1234},
			"12 00000020  01 0001 05  03 0014 " + topic + "  04 0002 1234",
		},
		{"SetActiveInterval", SetActiveInterval{Interval: 10 * time.Second}, "13 00000007  01 0004 0000000a"},
		{"SetActiveState", SetActiveState{State: Active, For: ActiveForever}, "14 0000000b  01 0001 01  02 0004 7fffffff"},
		{"SetActiveState inactive", SetActiveState{State: Inactive}, "14 00000004  01 0001 02"},
		{"TransportAck", TransportAck{}, "15 00000000"},
		{"KeepAliveAck", KeepAliveAck{}, "16 00000000"},
		{"Redirect", Redirect{Host: "a.b", Reason: "drain"}, "17 0000000e  02 0003 612e62  09 0005 647261696e"},
		{"Redirect that is a goodbye", Redirect{Reason: "drain", RetryAfter: 90 * time.Second, HasRetryAfter: true}, "17 0000000f  09 0005 647261696e  c8 0004 0000005a"},
		{"CancelKeepAlive", CancelKeepAlive{}, "22 00000000"},
		{
			"Notification of a channel",
			Notification{
				DeviceToken: apns.DeviceToken(vectorBaseToken), TopicHash: hash, Payload: apns.Payload(`{}`), MessageID: 1,
				Channel: "AQID", Checkpoint: 300,
			},
			"0a 00000058  01 0020 " + base + "  02 0014 " + topic + "  03 0002 7b7d  04 0004 00000001  05 0004 00000000" +
				"  1d 0008 0a03010203 10ac02",
		},
		{
			"full Subscriptions",
			Subscriptions{RequestID: 7, BaseToken: vectorBaseToken, Full: true, Sequence: 2, Apps: []AppSubscriptions{{
				App:         "a.b",
				Subscribe:   []ChannelSubscription{{Channel: "AQID", Checkpoint: 300}, {Channel: "BA==", Replay: 1, HasReplay: true}},
				Unsubscribe: []apns.ChannelID{"BQ=="},
			}}},
			"1d 00000050  01 0004 00000007  02 0023 0801 121b 0a03612e62 1208 0a03010203 10ac02 1205 0a0104 2001" +
				" 1a03 0a0105 1801 2002  03 0020 " + base,
		},
		{"full Subscriptions of none", Subscriptions{RequestID: 1, Full: true}, "1d 0000000e  01 0004 00000001  02 0004 0801 1801"},
		{
			"SubscriptionsResponse",
			SubscriptionsResponse{RequestID: 7, BaseToken: vectorBaseToken, Apps: []AppChannelResults{{
				App:      "a.b",
				Channels: []ChannelResult{{Channel: "AQID", Status: ChannelCurrent, Checkpoint: 300}, {Channel: "BA==", Status: ChannelInvalid}},
			}}},
			"1d 0000004b  01 0004 00000007  02 001a 0a18 0a03612e62 120a 0a03010203 1001 18ac02 1205 0a0104 1000" +
				"  03 0020 " + base + "  04 0001 00",
		},
		{
			"SubscriptionsResponse that refuses",
			SubscriptionsResponse{RequestID: 7, Status: SubscriptionsTryLater, RetryAfter: time.Minute},
			"1d 00000015  01 0004 00000007  02 0000  04 0001 01  05 0004 0000003c",
		},
		{
			"ChannelUpdate",
			ChannelUpdate{UpdateID: 1, BaseToken: vectorBaseToken, Timestamp: 1700000000 * 1e9, Resend: true, Apps: []AppChannelResults{{
				App: "a.b", Channels: []ChannelResult{{Channel: "AQID", Status: ChannelInvalid}},
			}}},
			"1e 0000004c  01 0004 00000001  02 0014 0a0e 0a03612e62 1207 0a03010203 1000 1202 0800  03 0020 " + base +
				"  04 0008 17979cfe362a0000",
		},
	}
}

// listed is an item of a Filter whose topic hash begins with first.
func listed(id string, first byte) string {
	return id + "0014" + hex.EncodeToString([]byte{first}) + strings.Repeat("00", 19)
}

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

func mustHex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	for _, v := range vectors() {
		t.Run(v.name, func(t *testing.T) {
			frame := mustHex(v.hex)
			if got := v.message.Append(nil); string(got) != string(frame) {
				t.Errorf("Append: got\n%x, want\n%x", got, frame)
			}
			before := []byte("before")
			if got := v.message.Append(before); string(got) != "before"+string(frame) {
				t.Errorf("Append to %q: got\n%x", before, got)
			}

			f, n, err := NextFrame(append(frame, "next"...), MaxPayloadBytes)
			if err != nil || n != len(frame) {
				t.Fatalf("NextFrame: got %d, %v, want %d", n, err, len(frame))
			}
			c := codecOf(t, v.message)
			if f.Command != c.command {
				t.Errorf("command: got %v, want %v", f.Command, c.command)
			}
			got, err := c.parse(f.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.message, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

// The topic hashes that are known to be right.
func TestTopicHashVectors(t *testing.T) {
	for topic, want := range map[apns.Topic]string{
		"com.apple.madrid":      "e4e6d952954168d0a5db02dbaf27cc35fc18d159",
		"com.apple.private.ids": "02e81f9f8aeb0f9c06483e7a3f049a8227b3af41",
		vectorTopic:             "a003f1da17993ee51f2b3ceef6c6153afa8f3ec2",
	} {
		if got := topic.Hash().String(); got != want {
			t.Errorf("%s: got %s, want %s", topic, got, want)
		}
	}
}
