package portal

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

func TestLegacyTopic(t *testing.T) {
	for _, tt := range []struct {
		name        string
		certificate *credential.PushCertificate
		want        apns.Topic // empty for MissingTopic
	}{
		{"universal", &credential.PushCertificate{UserID: "a", Topics: []apns.Topic{"a", "a.voip"}}, "a"},
		{"VoIP", &credential.PushCertificate{UserID: "a.voip", Topics: []apns.Topic{"a", "a.voip"}}, "a.voip"},
		{"one topic, of another name", &credential.PushCertificate{UserID: "b", Topics: []apns.Topic{"a"}, DefaultTopic: "a"}, "a"},
		{"topics of another name", &credential.PushCertificate{UserID: "b", Topics: []apns.Topic{"a", "a.voip"}}, ""},
		{"a key", nil, ""},
	} {
		s := &Sender{certificate: tt.certificate}
		got, err := s.LegacyTopic()
		if got != tt.want || (tt.want == "") != errors.Is(err, apns.Reject(apns.MissingTopic, "")) {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
		var topics []apns.Topic
		if tt.certificate != nil {
			topics = tt.certificate.Topics
		}
		if diff := cmp.Diff(topics, s.Topics()); diff != "" {
			t.Errorf("%s: topics (-want +got):\n%s", tt.name, diff)
		}
	}
}
