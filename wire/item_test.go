package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

// typeName returns the name of the type of m.
func typeName(m message) string { return strings.TrimPrefix(fmt.Sprintf("%T", m), "wire.") }

// TestWrongWidth cuts a byte off each item of each vector in turn, and adds
// one to it: a message must then be as if the item were absent. Items of no
// fixed width are left alone.
func TestWrongWidth(t *testing.T) {
	variable := map[Command][]byte{
		CommandConnect:          {8, 9, 10, 11, 12, 14, 29},
		CommandConnectAck:       {2, 9, 11, 21},
		CommandNotification:     {3, 29, 200, 201, 202, 203},
		CommandKeepAlive:        {1, 2, 3, 4, 5, 6},
		CommandFlush:            {2},
		CommandFlushResponse:    {2},
		CommandRedirect:         {2, 9},
		CommandChannels:         {2},
		CommandChannelUpdate:    {2},
		CommandTaskControl:      {2},
		CommandTaskNotification: {2},
		CommandAppTokenResponse: nil,
	}
	for _, v := range vectors() {
		t.Run(v.name, func(t *testing.T) {
			c := codecOf(t, v.message)
			list := splitItems(mustHex(v.hex)[HeaderBytes:])
			for i, item := range list {
				id, value := item[0], item[itemHeaderBytes:]
				if slices.Contains(variable[c.command], id) {
					continue
				}
				want, wantErr := c.parse(slices.Concat(slices.Delete(slices.Clone(list), i, i+1)...))
				for _, wrong := range [][]byte{value[1:], append(slices.Clone(value), 1), nil} {
					changed := slices.Clone(list)
					changed[i] = appendItem(nil, id, wrong)
					got, err := c.parse(slices.Concat(changed...))
					if (err == nil) != (wantErr == nil) {
						t.Errorf("item %d of %d bytes: got %v, want %v", id, len(wrong), err, wantErr)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("item %d of %d bytes (-absent +got):\n%s", id, len(wrong), diff)
					}
				}
			}
		})
	}
}

// TestRefusedValues has values that an item may not have although their width
// is right: as if absent, too.
func TestRefusedValues(t *testing.T) {
	long := strings.Repeat("x", MaxStringBytes+1)
	for _, tt := range []struct {
		name  string
		parse func([]byte) (message, error)
		item  []byte
	}{
		{"string too long", codecOf(t, Redirect{}).parse, appendItem(nil, 2, long)},
		{"string not UTF-8", codecOf(t, Redirect{}).parse, appendItem(nil, 2, "\xff")},
		{"text too long", codecOf(t, KeepAlive{}).parse, appendItem(nil, 1, long)},
		{"text not UTF-8", codecOf(t, KeepAlive{}).parse, appendItem(nil, 1, "\xff")},
		{"number with sign", codecOf(t, KeepAlive{}).parse, appendItem(nil, 5, "+5")},
		{"number with fraction", codecOf(t, KeepAlive{}).parse, appendItem(nil, 5, "1.5")},
		{"no number", codecOf(t, KeepAlive{}).parse, appendItem(nil, 5, "")},
		{"zero", codecOf(t, KeepAlive{}).parse, appendItem(nil, 6, "0")},
		{"more than a day", codecOf(t, KeepAlive{}).parse, appendItem(nil, 6, "86401")},
		{"more than fits", codecOf(t, KeepAlive{}).parse, appendItem(nil, 6, strings.Repeat("9", 60000))},
		{"time beyond all clocks", codecOf(t, Connect{}).parse, appendUint64(nil, 22, 1<<63)},
		{"zero topic hash", codecOf(t, Filter{}).parse, appendItem(nil, 2, make([]byte, apns.TopicHashSize))},
		{"salted topic hash", codecOf(t, Filter{}).parse, appendItem(nil, 2, make([]byte, 32))},
		{"empty certificate", codecOf(t, Connect{}).parse, appendItem(nil, 12, "")},
		{"zero nonce", codecOf(t, Connect{}).parse, appendItem(nil, 13, make([]byte, NonceBytes))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want, err := tt.parse(nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tt.parse(tt.item)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-absent +got):\n%s", diff)
			}
		})
	}
}

// TestAppendLeavesOut has values that cannot be written; the frame stays a
// frame without them.
func TestAppendLeavesOut(t *testing.T) {
	long := strings.Repeat("x", MaxStringBytes+1)
	for _, tt := range []struct {
		name      string
		got, want message
	}{
		{"string too long", Redirect{Host: long}, Redirect{}},
		{"string not UTF-8", Redirect{Host: "\xff"}, Redirect{}},
		{"text too long", KeepAlive{Carrier: []byte(long)}, KeepAlive{}},
		{"text not UTF-8", KeepAlive{Carrier: []byte("\xff")}, KeepAlive{}},
		{"interval under a minute", KeepAlive{Interval: time.Second}, KeepAlive{}},
		{"delay of more than a day", KeepAlive{ResponseDelay: MaxKeepAliveInterval + time.Second}, KeepAlive{}},
		{"token of another size", NoStorage{BaseToken: "short"}, NoStorage{}},
		{"zero topic hash", Filter{Enabled: make([]apns.TopicHash, 2)}, Filter{}},
		{"payload too long", SendMessage{Payload: make([]byte, MaxItemBytes+1)}, SendMessage{}},
		{"certificate too long", Connect{Certificates: [][]byte{make([]byte, MaxItemBytes+1)}}, Connect{}},
		{"time before the epoch", Connect{LastConnected: time.Unix(-1, 0)}, Connect{}},
		{"duration of an inactive state", SetActiveState{State: Inactive, For: time.Hour}, SetActiveState{State: Inactive}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := tt.got.Append(nil), tt.want.Append(nil); string(got) != string(want) {
				t.Errorf("got %x, want %x", got, want)
			}
		})
	}
}

func TestAppendClampsSeconds(t *testing.T) {
	for _, tt := range []struct{ in, want time.Duration }{
		{-time.Second, 0},
		{1500 * time.Millisecond, time.Second},
		{(1<<32 + 5) * time.Second, (1<<32 - 1) * time.Second},
	} {
		m, err := ParseSetActiveInterval(SetActiveInterval{Interval: tt.in}.Append(nil)[HeaderBytes:])
		if err != nil || m.Interval != tt.want {
			t.Errorf("%v: got %v, %v, want %v", tt.in, m.Interval, err, tt.want)
		}
	}
}

func TestLastOfARepeatedItemCounts(t *testing.T) {
	m, err := ParseRedirect(appendString(appendString(nil, 2, "first"), 2, "last"))
	if err != nil || m.Host != "last" {
		t.Errorf("got %q, %v, want last", m.Host, err)
	}
}
