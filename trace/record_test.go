package trace

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

const (
	someID  apns.NotificationID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"
	otherID apns.NotificationID = "0a1b2c3d-4e5f-4a6b-8c7d-9e0fa1b2c3d4"
	demo    apns.Topic          = "com.example.demo"
)

// full is a line with a value in each field.
func full() Line {
	return Line{
		Hop: Refused, Time: time.Unix(1_700_000_000, 123_456_789), ID: someID,
		Address: apns.Address{Device: 1<<63 + 5, Environment: apns.Production, Topic: demo.Hash()},
		Status:  410, Reason: apns.Unregistered, Other: otherID, Connection: 1<<40 + 1, Message: 1<<31 + 7, WasStored: true,
		Until: time.Unix(1_800_000_000, 0),
	}
}

func recordOf(l Line) []byte {
	var r [recordBytes]byte
	encode(&r, &l)
	checksum(r[:])
	return r[:]
}

func TestRecord(t *testing.T) {
	for name, want := range map[string]Line{
		"full": full(),
		"none": {Time: time.Unix(0, 1)},
		"long ago": {
			Hop: Expired, Time: time.Unix(-5, 0), ID: otherID, Address: apns.Address{Environment: 9},
		},
		"a hop of a later version": {Hop: 250, Time: time.Unix(3, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseRecord(recordOf(want))
			if !ok {
				t.Fatal("not read")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// No part of a record, and none with a bit that is wrong, passes for one.
func TestRecordDamaged(t *testing.T) {
	whole := recordOf(full())
	for n := range whole {
		if _, ok := parseRecord(whole[:n]); ok {
			t.Errorf("the first %d bytes are read as a record", n)
		}
	}
	for i := range whole {
		for bit := range 8 {
			b := slices.Clone(whole)
			b[i] ^= 1 << bit
			if _, ok := parseRecord(b); ok {
				t.Errorf("with bit %d of byte %d turned, it is read as a record", bit, i)
			}
		}
	}
	if _, ok := parseRecord(make([]byte, recordBytes)); ok {
		t.Error("zeros are read as a record")
	}
}

func TestID(t *testing.T) {
	for _, tt := range []struct{ in, want apns.NotificationID }{
		{someID, someID},
		{"EABEAE54-14A8-11e5-b60b-1697F925EC7B", someID},
		{"", ""},
		{"eabeae54-14a8-11e5-b60b-1697f925ec7", ""},
		{"eabeae54-14a8-11e5-b60b-1697f925ec7bb", ""},
		{"eabeae54114a8-11e5-b60b-1697f925ec7b", ""},
		{"eabeae54-14a8-11e5-b60b-1697f925ec7g", ""},
	} {
		if got := idOf(tt.in).text(); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// Each reason has a number of its own.
func TestReasons(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../apns/rejection.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Reason" {
			return true
		}
		for _, v := range spec.Values {
			lit, ok := v.(*ast.BasicLit)
			if !ok {
				continue
			}
			name, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			seen++
			if reason := apns.Reason(name); reasonOf(reasonCodes[reason]) != reason {
				t.Errorf("%s has no number", reason)
			}
		}
		return true
	})
	if seen != len(reasons) {
		t.Errorf("package apns has %d reasons, and there are %d numbers", seen, len(reasons))
	}
	if got := reasonOf(255); got != "" {
		t.Errorf("a number of a later version: got %q", got)
	}
}

// Every hop has a name and a sentence, and the names differ.
func TestHops(t *testing.T) {
	names := make(map[string]bool)
	for h, name := range hops {
		if names[name] {
			t.Errorf("two hops are called %s", name)
		}
		names[name] = true
		if s := (&Line{Hop: h}).Sentence(); s == "" || s == (&Line{Hop: 255}).Sentence() {
			t.Errorf("%s has no sentence: %q", h, s)
		}
	}
	if got := Hop(255).String(); got != "hop-255" {
		t.Errorf("got %q", got)
	}
}

func TestSentence(t *testing.T) {
	for want, l := range map[string]Line{
		"the gateway accepted it with status 200, on connection 7":                                                {Hop: Accepted, Connection: 7},
		"the gateway refused it with status 410 Unregistered: the device token is no longer active for the topic": {Hop: Refused, Status: 410, Reason: apns.Unregistered},
		"the gateway refused it with status 599":                                                                  {Hop: Refused, Status: 599},
		"the spool stored it, until 2027-01-15 08:00:00 UTC":                                                      {Hop: Stored, Until: time.Unix(1_800_000_000, 0)},
		"a newer one of the same topic took its place: " + string(otherID):                                        {Hop: Replaced, Other: otherID},
		"the courier handed it to device 3 as message 1, on connection 9, marked as stored":                       {Hop: Handed, Address: apns.Address{Device: 3}, Message: 1, Connection: 9, WasStored: true},
		"the device acknowledged it: it has it (status 0)":                                                        {Hop: Acked},
		"the device acknowledged it: status 99":                                                                   {Hop: Acked, Status: 99},
		"something that this version has no word for: hop-200":                                                    {Hop: 200},
	} {
		if got := l.Sentence(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}
