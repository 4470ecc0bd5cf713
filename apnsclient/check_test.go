package apnsclient

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

func TestCheckedBeforeAnythingIsSent(t *testing.T) {
	big := func(n int) apns.Payload { return apns.Payload(`{"a":"` + strings.Repeat("x", n-8) + `"}`) }
	tests := []struct {
		name   string
		to     apns.DeviceToken
		n      apns.Notification
		reason apns.Reason
		says   string
	}{
		{"no device token", "", hello, apns.MissingDeviceToken, "the device token is empty"},
		{"long device token", apns.DeviceToken(strings.Repeat("x", 101)), hello, apns.BadDeviceToken, "101 bytes"},
		{"no topic", deviceToken, apns.Notification{Payload: apns.Payload("{}")}, apns.MissingTopic, "the bundle ID of the app"},
		{"header in the topic", deviceToken, apns.Notification{Topic: "a\r\nb", Payload: apns.Payload("{}")}, apns.BadTopic, "is none"},
		{"ID", deviceToken, apns.Notification{ID: "123", Topic: topic, Payload: apns.Payload("{}")}, apns.BadMessageID, "not a UUID"},
		{"empty payload", deviceToken, apns.Notification{Topic: topic}, apns.PayloadEmpty, `"{}"`},
		{"no object", deviceToken, apns.Notification{Topic: topic, Payload: apns.Payload("[]")}, apns.PayloadEmpty, "not a JSON object"},
		{"large payload", deviceToken, apns.Notification{Topic: topic, Payload: big(4100)}, apns.PayloadTooLarge, "4 more than the 4096"},
		{"large VoIP payload", deviceToken, apns.Notification{Topic: topic + ".voip", Payload: big(5121)}, apns.PayloadTooLarge, "1 more than the 5120"},
		{
			"collapse ID", deviceToken,
			apns.Notification{Topic: topic, CollapseID: apns.CollapseID(strings.Repeat("é", 33)), Payload: apns.Payload("{}")},
			apns.BadCollapseID, "2 more than the 64",
		},
		{
			"header in the collapse ID", deviceToken,
			apns.Notification{Topic: topic, CollapseID: "a\nb", Payload: apns.Payload("{}")},
			apns.BadCollapseID, "control character",
		},
		{
			"header in the push type", deviceToken,
			apns.Notification{Topic: topic, PushType: "a\nb", Payload: apns.Payload("{}")},
			apns.InvalidPushType, "is none",
		},
		{"priority", deviceToken, apns.Notification{Topic: topic, Priority: 7, Payload: apns.Payload("{}")}, apns.BadPriority, "10, 5 or 1"},
	}
	g := newGateway(t)
	s := newSender(t, g.withKey(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Push(t.Context(), tt.to, tt.n)
			checkFault(t, err, tt.reason, tt.says)
		})
	}
	if n := g.links.Load(); n != 0 {
		t.Errorf("got %d connections, want none", n)
	}
}

func checkFault(t *testing.T, err error, reason apns.Reason, says string) {
	t.Helper()
	var fault *CheckError
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want a CheckError", err)
	}
	if fault.Reason != reason || !errors.Is(err, apns.Reject(reason, "")) || fault.Remedy == "" || !strings.Contains(err.Error(), says) {
		t.Errorf("got %s: %v, want %s and %q", fault.Reason, err, reason, says)
	}
}

func TestLargestPayloadsPass(t *testing.T) {
	g := newGateway(t).serve(t, accept)
	s := newSender(t, g.withKey(t))
	for topic, size := range map[apns.Topic]int{topic: 4096, topic + ".voip": 5120} {
		n := apns.Notification{Topic: topic, Payload: apns.Payload(`{"a":"` + strings.Repeat("x", size-8) + `"}`)}
		if _, err := s.Push(t.Context(), deviceToken, n); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestCertificateChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		cfg := g.config()
		cfg.Certificate = g.certificate(t, g.root, credential.PushSandbox)
		_, err := New(cfg)
		checkFault(t, err, apns.BadCertificateEnvironment, "is for sandbox, not for production")

		serverCertificate := g.tls.Certificates[0]
		cfg.Certificate = &serverCertificate
		_, err = New(cfg)
		checkFault(t, err, apns.BadCertificate, "is no push certificate")

		cfg.Certificate = g.certificate(t, g.root, credential.PushUniversal)
		s := newSender(t, cfg)
		n := hello
		n.Topic = ""
		_, err = s.Push(t.Context(), deviceToken, n)
		checkFault(t, err, apns.MissingTopic, "com.example.demo, com.example.demo.voip")
		n.Topic = "com.example.other"
		_, err = s.Push(t.Context(), deviceToken, n)
		checkFault(t, err, apns.TopicDisallowed, "is not for the topic")

		<-time.After(25 * time.Hour)
		_, err = s.Push(t.Context(), deviceToken, hello)
		checkFault(t, err, apns.BadCertificate, `the certificate "Apple Push Services: com.example.demo" expired on 2000-01-02`)
		_, err = New(cfg)
		checkFault(t, err, apns.BadCertificate, "expired")
	})
}
