package wire

import "testing"

func TestAckStatusString(t *testing.T) {
	for s, want := range map[AckStatus]string{
		AckOK: "OK", AckNotOurs: "NotOurs", AckUnreadable: "Unreadable", AckIgnored: "Ignored",
		AckUnknownTopic: "UnknownTopic", AckUnavailable: "Unavailable", 99: "AckStatus(99)",
	} {
		if got := s.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Devices send an Ack without token, with the device token, or with the base
// token; they may also write the items in another order.
func TestAckForms(t *testing.T) {
	for _, tt := range []struct{ name, payload, destination string }{
		{"without token", "08 0001 00  04 0004 0000002a", ""},
		{"id first", "04 0004 0000002a  08 0001 00", ""},
		{"with device token", "01 0020 " + hexOf(string(vectorDeviceToken)) + " 04 0004 0000002a  08 0001 00", string(vectorDeviceToken)},
		{"with base token", "04 0004 0000002a  08 0001 00  01 0020 " + hexOf(string(vectorBaseToken)), string(vectorBaseToken)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := ParseAck(mustHex(tt.payload))
			if err != nil || m.Status != AckOK || !m.HasMessageID || m.MessageID != 42 || string(m.Destination) != tt.destination {
				t.Errorf("got %+v, %v", m, err)
			}
		})
	}
}
