package wire

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/heraldpush/herald/apns"
)

// Items 1 and 2 swap between the directions, so their size decides.
func TestDeviceTokenAndTopicHashAreToldApartBySize(t *testing.T) {
	token, hash := []byte(vectorDeviceToken), vectorTopic.Hash()
	salted := bytes.Repeat([]byte{9}, 32)
	id := appendUint32(nil, 4, 1)
	for _, tt := range []struct {
		name    string
		items   []byte
		n, send apns.DeviceToken // for Notification and SendMessage
		hash    apns.TopicHash
	}{
		{"Notification order", appendItem(appendItem(nil, 1, token), 2, hash[:]), vectorDeviceToken, vectorDeviceToken, hash},
		{"SendMessage order", appendItem(appendItem(nil, 1, hash[:]), 2, token), vectorDeviceToken, vectorDeviceToken, hash},
		{"salted hash after", appendItem(appendItem(nil, 1, token), 2, salted), vectorDeviceToken, apns.DeviceToken(salted), apns.TopicHash{}},
		{"salted hash before", appendItem(appendItem(nil, 2, salted), 1, token), vectorDeviceToken, apns.DeviceToken(salted), apns.TopicHash{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := ParseNotification(slices.Concat(tt.items, id))
			if err != nil || n.DeviceToken != tt.n || n.TopicHash != tt.hash {
				t.Errorf("Notification: got %x, %v, %v, want %x, %v", n.DeviceToken, n.TopicHash, err, tt.n, tt.hash)
			}
			m, err := ParseSendMessage(slices.Concat(tt.items, id))
			if err != nil || m.DeviceToken != tt.send || m.TopicHash != tt.hash {
				t.Errorf("SendMessage: got %x, %v, %v, want %x, %v", m.DeviceToken, m.TopicHash, err, tt.send, tt.hash)
			}
		})
	}
}

func TestNotificationPriority(t *testing.T) {
	for value, want := range map[uint8]apns.Priority{
		0: apns.PriorityPower, 1: apns.PriorityPower, 4: apns.PriorityPower,
		5: apns.PriorityConserve, 9: apns.PriorityConserve,
		10: apns.PriorityImmediate, 255: apns.PriorityImmediate,
	} {
		m, err := ParseNotification(appendUint8(appendUint32(nil, 4, 1), 13, value))
		if err != nil || m.Priority != want {
			t.Errorf("%d: got %d, %v, want %d", value, m.Priority, err, want)
		}
	}
}

func TestNotificationNeedsAMessageID(t *testing.T) {
	if m, err := ParseNotification(appendItem(nil, 3, "{}")); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %+v, %v, want ErrMalformed", m, err)
	}
	m, err := ParseNotification(appendUint32(nil, 4, 0))
	if err != nil || m.MessageID != 0 {
		t.Errorf("message id 0: got %d, %v", m.MessageID, err)
	}
	if m.Expiry != NoExpiry {
		t.Errorf("no expiry: got %d, want NoExpiry", m.Expiry)
	}
}

// Whoever does not set the extension items sends a frame of Apple's.
func TestNotificationWithoutExtensions(t *testing.T) {
	frame := Notification{DeviceToken: vectorDeviceToken, TopicHash: vectorTopic.Hash(), Payload: apns.Payload("{}"), MessageID: 1}.Append(nil)
	for _, item := range splitItems(frame[HeaderBytes:]) {
		if item[0] >= 200 {
			t.Errorf("there is an item %d", item[0])
		}
	}
}

// A payload of any size that the gateway admits arrives whole.
func TestNotificationPayloadSizes(t *testing.T) {
	for _, size := range []int{1, 4096, 5120, 60000} {
		want := apns.Payload(bytes.Repeat([]byte{'x'}, size))
		f, _, err := NextFrame(Notification{Payload: want, MessageID: 1}.Append(nil), MaxPayloadBytes)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := ParseNotification(f.Payload); err != nil || !bytes.Equal(m.Payload, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(m.Payload), err)
		}
	}
}

func TestFlushResponseIsBounded(t *testing.T) {
	for wanted, want := range map[uint16]uint16{0: 0, 128: 128, MaxFlushBytes: MaxFlushBytes, MaxFlushBytes + 1: MaxFlushBytes, 65535: MaxFlushBytes} {
		if got := (Flush{Wanted: wanted, Padding: 7}).Response().Padding; got != want {
			t.Errorf("%d: got %d, want %d", wanted, got, want)
		}
	}
}

func BenchmarkNotificationAppend(b *testing.B) {
	m := Notification{
		DeviceToken: vectorDeviceToken, TopicHash: vectorTopic.Hash(), Payload: make(apns.Payload, 200), MessageID: 42,
		Expiry: NoExpiry, Timestamp: 1, Priority: apns.PriorityImmediate, BaseToken: vectorBaseToken,
	}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = m.Append(buf[:0])
	}
}

func BenchmarkAckParse(b *testing.B) {
	frame := Ack{MessageID: 42, HasMessageID: true, Destination: []byte(vectorDeviceToken)}.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		f, _, err := NextFrame(frame, MaxPayloadBytes)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ParseAck(f.Payload); err != nil {
			b.Fatal(err)
		}
	}
}
