package portal_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// switchBroadcast switches the demo app's capability.
func switchBroadcast(t *testing.T, p *portal.Portal, on bool) portal.Broadcast {
	t.Helper()
	a, err := p.SetBroadcast(t.Context(), demo, on)
	if err != nil || a.BundleID != demo {
		t.Fatalf("got %+v, %v", a, err)
	}
	return a.Broadcast
}

// wantClosed checks whether a channel is closed.
func wantClosed(t *testing.T, c <-chan struct{}, want bool) {
	t.Helper()
	got := false
	select {
	case <-c:
		got = true
	default:
	}
	if got != want {
		t.Errorf("told of a change: got %t, want %t", got, want)
	}
}

// TestBroadcastTerm proves that an app broadcasts in the term that was switched on
// last, and at no other time.
func TestBroadcastTerm(t *testing.T) {
	p := open(t)
	withDemo(t, p)
	for i, want := range []portal.Broadcast{{}, {On: true, Term: 1}, {Term: 1}, {On: true, Term: 2}} {
		if i > 0 {
			switchBroadcast(t, p, want.On)
		}
		if term, on := p.BroadcastTerm(demo); on != want.On || term != want.Term {
			t.Errorf("got term %d, %t, want %+v", term, on, want)
		}
	}
	if term, on := p.BroadcastTerm("com.example.unknown"); term != 0 || on {
		t.Errorf("unknown: got term %d, %t", term, on)
	}
}

func TestSetBroadcast(t *testing.T) {
	p := open(t)
	withDemo(t, p)
	ended, changed := p.EndedBroadcasts()
	if len(ended) > 0 {
		t.Errorf("at first: got %v, want none", ended)
	}
	none, one := map[apns.Topic]uint64{}, map[apns.Topic]uint64{demo: 1}
	for _, step := range []struct {
		on, changes bool
		want        portal.Broadcast
		ended       map[apns.Topic]uint64
	}{
		{false, false, portal.Broadcast{}, none},
		{true, true, portal.Broadcast{On: true, Term: 1}, none},
		{true, false, portal.Broadcast{On: true, Term: 1}, none},
		{false, true, portal.Broadcast{Term: 1}, one},
		{false, false, portal.Broadcast{Term: 1}, one},
		{true, true, portal.Broadcast{On: true, Term: 2}, one},
		{false, true, portal.Broadcast{Term: 2}, map[apns.Topic]uint64{demo: 2}},
	} {
		if got := switchBroadcast(t, p, step.on); got != step.want {
			t.Errorf("got %+v, want %+v", got, step.want)
		}
		wantClosed(t, changed, step.changes)
		ended, changed = p.EndedBroadcasts()
		if diff := cmp.Diff(step.ended, ended); diff != "" {
			t.Errorf("ended terms (-want +got):\n%s", diff)
		}
		a, err := p.App(t.Context(), demo)
		if err != nil || a.Broadcast != step.want {
			t.Errorf("App ID: got %+v, %v, want %+v", a.Broadcast, err, step.want)
		}
	}
	log, err := p.Audit(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range log {
		if e.Action == "app.broadcast" {
			got = append(got, e.Subject+": "+e.Detail)
		}
	}
	off, on := "com.example.demo: off, its channels are deleted", "com.example.demo: on"
	if diff := cmp.Diff([]string{on, off, on, off}, got); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}

func TestSetBroadcastRefused(t *testing.T) {
	p := open(t)
	team := withDemo(t, p)
	if _, err := p.RegisterApp(t.Context(), team.ID, "com.example.*", "all"); err != nil {
		t.Fatal(err)
	}
	_, changed := p.EndedBroadcasts()
	for bundleID, want := range map[apns.Topic]portal.Code{
		"com.example.none": portal.CodeApp, "com.example.*": portal.CodeWildcard, "org.example.*": portal.CodeWildcard, "": portal.CodeApp,
	} {
		_, err := p.SetBroadcast(t.Context(), bundleID, true)
		wantCode(t, err, want)
	}
	wantClosed(t, changed, false)
}

func TestMayBroadcast(t *testing.T) {
	p := open(t)
	team := withDemo(t, p)
	other, err := p.CreateTeam(t.Context(), "Other")
	if err != nil {
		t.Fatal(err)
	}
	for bundleID, of := range map[apns.Topic]portal.Team{"com.example.second": team, "com.other.app": other} {
		if _, err := p.RegisterApp(t.Context(), of.ID, bundleID, ""); err != nil {
			t.Fatal(err)
		}
	}
	admit := func(spec portal.KeySpec) *portal.Sender {
		t.Helper()
		key, p8, err := p.CreateKey(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		private, err := credential.ParseP8(p8)
		if err != nil {
			t.Fatal(err)
		}
		token, err := credential.MintProviderToken(private, key.ID, spec.Team, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.AdmitProviderToken(token, apns.Sandbox)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	certified, err := p.AdmitCertificate(issue(t, p, credential.PushUniversal), apns.Sandbox)
	if err != nil {
		t.Fatal(err)
	}
	whole := admit(portal.KeySpec{Team: team.ID})
	scoped := admit(portal.KeySpec{Team: team.ID, Scope: portal.ScopeTopic, Environment: apns.Sandbox, Topics: []apns.Topic{"com.example.second"}})

	for _, tt := range []struct {
		name         string
		bundleID     apns.Topic
		whole        apns.Reason // with a key of the team
		scoped, cert apns.Reason // with a key for the second app, with a certificate for the demo app
	}{
		{"on", demo, "", apns.TopicMismatch, ""},
		{"off", "com.example.second", apns.FeatureNotEnabled, apns.FeatureNotEnabled, apns.TopicMismatch},
		{"of another team", "com.other.app", apns.TopicMismatch, apns.TopicMismatch, apns.TopicMismatch},
		{"unknown", "com.example.none", apns.TopicMismatch, apns.TopicMismatch, apns.TopicMismatch},
		{"with a suffix", demo + ".push-type.liveactivity", apns.TopicDisallowed, apns.TopicDisallowed, apns.TopicDisallowed},
		{"with a suffix that the certificate lists", demo + ".voip", apns.TopicDisallowed, apns.TopicDisallowed, apns.TopicDisallowed},
		{"of another team, with a suffix", "com.other.app.voip", apns.TopicDisallowed, apns.TopicDisallowed, apns.TopicDisallowed},
		{"malformed", "a..b", apns.TopicDisallowed, apns.TopicDisallowed, apns.TopicDisallowed},
		{"empty", "", apns.TopicDisallowed, apns.TopicDisallowed, apns.TopicDisallowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			switchBroadcast(t, p, false)
			term := switchBroadcast(t, p, true).Term
			for _, by := range []struct {
				name string
				*portal.Sender
				want apns.Reason
			}{{"key of the team", whole, tt.whole}, {"key for topics", scoped, tt.scoped}, {"certificate", certified, tt.cert}} {
				got, err := by.Broadcast(tt.bundleID)
				switch {
				case by.want != "":
					wantRejection(t, err, by.want)
				case err != nil || got != term:
					t.Errorf("%s: got term %d, %v, want %d", by.name, got, err, term)
				}
			}
		})
	}
	switchBroadcast(t, p, false)
	_, err = whole.Broadcast(demo)
	wantRejection(t, err, apns.FeatureNotEnabled)
}
