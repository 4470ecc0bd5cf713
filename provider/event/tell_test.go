package event_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/event"
	"github.com/heraldpush/herald/provider/outbox"
)

func message(state outbox.State, accepted, rejected int) *outbox.Message {
	m := &outbox.Message{Intent: outbox.Intent{ID: outbox.NewMessageID(at), Lane: outbox.Campaign}}
	m.Status = outbox.Status{State: state, EndedAt: at, Counts: outbox.Counts{Targeted: accepted + rejected}}
	m.Counts.Receipts[outbox.Accepted], m.Counts.Receipts[outbox.Rejected] = accepted, rejected
	return m
}

func TestOfEnd(t *testing.T) {
	for state, want := range map[outbox.State]event.Kind{
		outbox.StateDone: event.MessageDone, outbox.StateCancelled: event.MessageCancelled,
		outbox.StateExpired: event.MessageExpired, outbox.StateFailed: event.MessageFailed,
		outbox.StateSending: "", outbox.StatePaused: "", outbox.StateScheduled: "", outbox.StateSnapshotting: "",
	} {
		m := message(state, 2, 1)
		m.Counts.Reasons = map[apns.Reason]int{apns.BadDeviceToken: 1}
		e, err := event.OfEnd("shop", m)
		if want == "" {
			if err == nil {
				t.Errorf("%v: got %v, want an error", state, e.Kind)
			}
			continue
		}
		again, _ := event.OfEnd("shop", m)
		if err != nil || e.Kind != want || e.Subject != m.ID.String() || e.App != "shop" || again.ID != e.ID {
			t.Errorf("%v: got %+v, %v, again %s, want %s", state, e, err, again.ID, want)
		}
		got := read[event.Message](t, e)
		if d := cmp.Diff(event.Message{State: state.String(), Lane: "campaign", Counts: event.Counts{
			Targeted: 3, Accepted: 2, Rejected: 1, Reasons: map[apns.Reason]int{apns.BadDeviceToken: 1},
		}}, got); d != "" {
			t.Errorf("%v (-want +got):\n%s", state, d)
		}
	}
}

// A message may pause twice, and begins once; what is told again is the same.
func TestIDsOfMessages(t *testing.T) {
	m := message(outbox.StatePaused, 0, 0)
	for kind, same := range map[event.Kind]bool{
		event.MessageStarted: true, event.MessagePaused: false, event.MessageResumed: false, event.MessageDone: true,
	} {
		a, errA := event.OfMessage("shop", kind, m, at)
		b, errB := event.OfMessage("shop", kind, m, at.Add(time.Nanosecond))
		again, errC := event.OfMessage("shop", kind, m, at.In(time.FixedZone("", 3600)))
		if errA != nil || errB != nil || errC != nil || (a.ID == b.ID) != same || again.ID != a.ID || !a.ID.Valid() {
			t.Errorf("%s: got %s and %s, want the same: %v", kind, a.ID, b.ID, same)
		}
	}
}

func TestWorth(t *testing.T) {
	everybody := message(outbox.StateDone, 1, 0)
	everybody.Everybody = true
	for name, tt := range map[string]struct {
		m    *outbox.Message
		want bool
	}{
		"one, accepted":    {message(outbox.StateDone, 1, 0), false},
		"one, rejected":    {message(outbox.StateDone, 0, 1), true},
		"few, accepted":    {message(outbox.StateDone, event.FewTargets, 0), false},
		"many, accepted":   {message(outbox.StateDone, event.FewTargets+1, 0), true},
		"one, cancelled":   {message(outbox.StateCancelled, 1, 0), true},
		"one of everybody": {everybody, true},
		"nobody":           {message(outbox.StateDone, 0, 0), false},
		"nobody, it fails": {message(outbox.StateFailed, 0, 0), true},
	} {
		if got := event.Worth(tt.m); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

// judged returns a ruling that makes a device token of an installation worse.
func judged(n int, before, after audience.State, message byte) event.Judged {
	d := audience.Destination{Kind: audience.KindAlert, Environment: apns.Production, DeviceToken: "secret"}
	d.Standing.State = before
	s := audience.Standing{State: after, Reason: apns.Unregistered, ReasonAt: at, JudgedBy: [16]byte{message}}
	return event.Judged{
		Installation: audience.InstallationID(fmt.Sprint("i", n)),
		Ruling:       audience.Ruling{Target: audience.Target{Ordinal: audience.Ordinal(n), Destination: d}, After: s},
	}
}

func TestOfDeviceTokens(t *testing.T) {
	var all []event.Judged
	for n := range 150 {
		all = append(all, judged(n, audience.Active, audience.Gone, 1))
	}
	all = append(
		all, judged(200, audience.Quarantined, audience.Active, 0), judged(201, audience.Active, audience.Active, 0),
		judged(202, audience.Active, audience.Quarantined, 1), judged(203, audience.Quarantined, audience.Quarantined, 1),
		judged(204, audience.Quarantined, audience.Gone, 2), judged(205, audience.Gone, audience.Gone, 2),
	)
	events, err := event.OfDeviceTokens("shop", all, at)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		list := read[event.DeviceTokens](t, e).DeviceTokens
		got = append(got, fmt.Sprint(e.Kind, " by ", e.Subject == outbox.MessageID{1}.String(), ": ", len(list), " from ", list[0].Installation))
		if strings.Contains(string(e.Body), "secret") {
			t.Errorf("the device token is in %s", e.Body)
		}
	}
	want := []string{
		"device_token.gone by true: 64 from i0", "device_token.gone by true: 64 from i64", "device_token.gone by true: 22 from i128",
		"device_token.quarantined by true: 1 from i202", "device_token.gone by false: 1 from i204",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	one := read[event.DeviceTokens](t, events[0]).DeviceTokens[0]
	if d := cmp.Diff(event.DeviceToken{
		Installation: "i0", Kind: audience.KindAlert, Environment: apns.Production, Reason: apns.Unregistered, At: at,
	}, one); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// However long what is listed is, it is an event.
func TestOfDeviceTokensWithLongNames(t *testing.T) {
	var all []event.Judged
	for n := range event.MaxDeviceTokens {
		j := judged(n, audience.Active, audience.Gone, 1)
		j.Installation = audience.InstallationID(strings.Repeat("x", audience.MaxInstallationIDBytes))
		j.Name, j.After.Reason = strings.Repeat("<", audience.MaxNameBytes), apns.Reason(strings.Repeat("<", 100))
		all = append(all, j)
	}
	events, err := event.OfDeviceTokens("shop", all, at)
	if err != nil || len(events) != 1 || events[0].Check() != nil {
		t.Errorf("got %d events, %v, want one that can be kept", len(events), err)
	}
}

func TestOfTurn(t *testing.T) {
	proven := account.Standing{Environment: apns.Sandbox, ProvenAt: at}
	refused := account.Standing{Environment: apns.Sandbox, ProvenAt: at, Reason: apns.BadCertificate, RefusedAt: at.Add(time.Hour)}
	other := account.Standing{Environment: apns.Sandbox, ProvenAt: at, Reason: apns.Forbidden, RefusedAt: at.Add(2 * time.Hour)}
	fresh := account.Standing{Environment: apns.Sandbox}
	ids := make(map[event.ID]string)
	for name, tt := range map[string]struct {
		was, now account.Standing
		want     event.Kind
	}{
		"proven":         {fresh, proven, event.CredentialProven},
		"refused":        {proven, refused, event.CredentialRefused},
		"refused anew":   {refused, other, event.CredentialRefused},
		"proven again":   {refused, account.Standing{Environment: apns.Sandbox, ProvenAt: at.Add(time.Hour)}, event.CredentialProven},
		"still proven":   {proven, account.Standing{Environment: apns.Sandbox, ProvenAt: at.Add(time.Hour)}, ""},
		"still refused":  {refused, account.Standing{Environment: apns.Sandbox, ProvenAt: at, Reason: apns.BadCertificate, RefusedAt: at.Add(5 * time.Hour)}, ""},
		"nothing at all": {fresh, fresh, ""},
	} {
		turn := account.Turn{Credential: account.Credential{ID: "cred_1", App: "shop", Name: "key X"}, Was: tt.was, Now: tt.now}
		e, ok, err := event.OfTurn(turn, at)
		if err != nil || ok != (tt.want != "") || e.Kind != tt.want {
			t.Errorf("%s: got %v %q, %v, want %q", name, ok, e.Kind, err, tt.want)
			continue
		}
		if !ok {
			continue
		}
		if got := read[event.Credential](t, e); got != (event.Credential{Name: "key X", Environment: apns.Sandbox, Reason: tt.now.Reason}) {
			t.Errorf("%s: got %+v", name, got)
		}
		if before := ids[e.ID]; before != "" {
			t.Errorf("%s has the ID of %s", name, before)
		}
		ids[e.ID] = name
		if again, _, _ := event.OfTurn(turn, at.Add(time.Minute)); again.ID != e.ID {
			t.Errorf("%s: got %s and then %s, want the same", name, e.ID, again.ID)
		}
	}
}

func TestOfExpiry(t *testing.T) {
	x := account.Expiry{App: "shop", Credential: "cred_1", Name: "push", Environments: []apns.Environment{apns.Production}, NotAfter: at, Days: 7, Needed: true}
	e, err := event.OfExpiry(x, at)
	if err != nil || e.Kind != event.CredentialExpiring || e.Subject != "cred_1" {
		t.Errorf("got %+v, %v", e, err)
	}
	if d := cmp.Diff(x, read[account.Expiry](t, e)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	again, _ := event.OfExpiry(x, at.Add(time.Hour))
	x.Days = 1
	if later, _ := event.OfExpiry(x, at); again.ID != e.ID || later.ID == e.ID {
		t.Errorf("got %s, again %s, and %s a day before, want the first two alike", e.ID, again.ID, later.ID)
	}
}

func TestOfSending(t *testing.T) {
	m := outbox.NewMessageID(at)
	want := event.Sending{Lane: "urgent", Since: at.Add(-90 * time.Second), Why: event.WhyNoCredential}
	e, err := event.OfSending(event.SendingStalled, "app1", m, want, at)
	want.Seconds = 90
	if got := read[event.Sending](t, e); err != nil || got != want || e.App != "app1" || e.Subject != m.String() {
		t.Errorf("got %+v of %s and %s, %v, want %+v", got, e.App, e.Subject, err, want)
	}
}
