package admin_test

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/trace"
)

const traced apns.NotificationID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"

// The story is the same here and there, and names the topic.
func TestTrace(t *testing.T) {
	rec, err := trace.Open(trace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	now := time.Now().UTC().Truncate(time.Second)
	at := apns.Address{Device: 3, Environment: apns.Sandbox, Topic: (demo + ".voip").Hash()}
	rec.Record(&trace.Line{Hop: trace.Accepted, Time: now, ID: traced, Address: at, Status: 200, Connection: 7})
	rec.Record(&trace.Line{Hop: trace.Stored, Time: now.Add(time.Millisecond), ID: traced, Address: at, Until: now.Add(time.Hour)})
	rec.Record(&trace.Line{Hop: trace.Acked, Time: now.Add(time.Second), ID: traced, Address: at, Message: 5})
	hash, zero, ok, until := at.Topic.String(), uint16(0), uint16(200), now.Add(time.Hour)
	want := admin.Trace{ID: traced, Lines: []admin.TraceLine{
		{
			Time: now, Hop: "accepted", Sentence: "the gateway accepted it with status 200, on connection 7", Device: 3,
			Environment: "sandbox", Topic: demo + ".voip", TopicHash: hash, Status: &ok, Connection: 7,
		},
		{
			Time: now.Add(time.Millisecond), Hop: "stored", Sentence: "the spool stored it, until " + until.Format("2006-01-02 15:04:05 UTC"),
			Device: 3, Environment: "sandbox", Topic: demo + ".voip", TopicHash: hash, Until: &until,
		},
		{
			Time: now.Add(time.Second), Hop: "acked", Sentence: "the device acknowledged it: it has it (status 0)", Device: 3,
			Environment: "sandbox", Topic: demo + ".voip", TopicHash: hash, Status: &zero, MessageID: 5,
		},
	}}
	p := newPortal(t)
	withDemo(t, admin.Local(p))
	server := httptest.NewServer(admin.New(admin.Config{Portal: p, Trace: rec, Key: apiKey, Logger: slog.New(slog.DiscardHandler)}))
	defer server.Close()
	for name, target := range map[string]admin.Target{
		"local":  admin.LocalRooms(admin.Rooms{Portal: p, Trace: rec}),
		"remote": remote(t, server.URL, apiKey),
	} {
		got := must(t, target, admin.GetTrace, admin.TraceRequest{ID: "EABEAE54-14A8-11E5-B60B-1697F925EC7B"})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for id, want := range map[string]struct {
		status int
		code   portal.Code
	}{
		"0a1b2c3d-4e5f-4a6b-8c7d-9e0fa1b2c3d4": {404, admin.CodeTrace},
		"x":                                    {400, admin.CodeArgument},
	} {
		_, err := admin.GetTrace.Call(t.Context(), remote(t, server.URL, apiKey), admin.TraceRequest{ID: apns.NotificationID(id)})
		if p, ok := errors.AsType[*admin.Problem](err); !ok || p.Status != want.status || p.Code != want.code || p.Hint == "" {
			t.Errorf("%s: got %+v, want %+v", id, err, want)
		}
	}
	_, err = admin.GetTrace.Call(t.Context(), admin.Local(p), admin.TraceRequest{ID: traced})
	if p, ok := errors.AsType[*admin.Problem](err); !ok || p.Code != admin.CodeTrace {
		t.Errorf("without traces: got %v", err)
	}
}
