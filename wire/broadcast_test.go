package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
)

var broadcastPaths = []struct {
	path   string
	at     Resource // zero for BadPath
	bundle apns.Topic
}{
	{"/1/apps/com.example.demo/channels", Channels, "com.example.demo"},
	{"/1/apps/com.example.demo/all-channels", AllChannels, "com.example.demo"},
	{"/4/broadcasts/apps/com.example.demo", Broadcasts, "com.example.demo"},
	{"/4/broadcasts/apps/com.example.demo.push-type.liveactivity", Broadcasts, "com.example.demo.push-type.liveactivity"},
	{"/1/apps/a..b/channels", Channels, "a..b"},
	{"/1/apps/channels/channels", Channels, "channels"},
	{"/1/apps/channels", 0, ""},
	{"/1/apps//channels", 0, ""},
	{"/1/apps/com.example.demo", 0, ""},
	{"/1/apps/com.example.demo/", 0, ""},
	{"/1/apps/com.example.demo/channels/", 0, ""},
	{"/1/apps/com.example.demo/channels/dHN0LXNyY2gtY2hubA==", 0, ""},
	{"/1/apps/com.example.demo/channels?all", 0, ""},
	{"/1/apps/com.example.demo/Channels", 0, ""},
	{"/1/apps/a/b/channels", 0, ""},
	{"/1/apps/a?b/channels", 0, ""},
	{"/1/apps/a#b/all-channels", 0, ""},
	{"/1/apps", 0, ""},
	{"/4/broadcasts/apps/", 0, ""},
	{"/4/broadcasts/apps/com.example.demo/", 0, ""},
	{"/4/broadcasts/apps/com.example.demo?x=1", 0, ""},
	{"/4/broadcasts/com.example.demo", 0, ""},
	{"/4/broadcasts", 0, ""},
	{"/3/device/00fc", 0, ""},
	{"", 0, ""},
}

func TestBroadcastPath(t *testing.T) {
	for _, tt := range broadcastPaths {
		at, bundle, r := ParseBroadcastPath(tt.path)
		if at != tt.at || bundle != tt.bundle || (r == nil) != (tt.at != 0) || r != nil && r.Reason != apns.BadPath {
			t.Errorf("%q: got %d, %q, %v, want %d, %q", tt.path, at, bundle, r, tt.at, tt.bundle)
		}
		if got, want := IsBroadcastPath(tt.path), strings.HasPrefix(tt.path, "/1/") || strings.HasPrefix(tt.path, "/4/"); got != want {
			t.Errorf("%q: got %t for a path of broadcast push, want %t", tt.path, got, want)
		}
		if r == nil {
			if got := string(AppendBroadcastPath(nil, at, bundle)); got != tt.path {
				t.Errorf("got %q, want %q", got, tt.path)
			}
		}
	}
	if got := AppendBroadcastPath(nil, 0, "com.example.demo"); got != nil {
		t.Errorf("no resource: got %q", got)
	}
}

func FuzzBroadcastPath(f *testing.F) {
	for _, tt := range broadcastPaths {
		f.Add(tt.path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		at, bundle, r := ParseBroadcastPath(path)
		switch {
		case (at == 0) != (r != nil), (bundle == "") != (r != nil), r != nil && r.Reason != apns.BadPath:
			t.Fatalf("got %d, %q, %v", at, bundle, r)
		case r == nil && string(AppendBroadcastPath(nil, at, bundle)) != path:
			t.Fatalf("got %d, %q of %q", at, bundle, path)
		case r == nil && !IsBroadcastPath(path):
			t.Fatalf("%q is a path of broadcast push, and not one", path)
		}
	})
}

const goodConfig = `{"message-storage-policy":1,"push-type":"LiveActivity"}`

var channelConfigs = []struct {
	name, body string
	want       apns.StoragePolicy
	reason     apns.Reason // empty for none
}{
	{"stored", goodConfig, apns.MostRecentMessageStored, ""},
	{"not stored", `{"message-storage-policy":0,"push-type":"LiveActivity"}`, apns.NoMessageStored, ""},
	{"spaced, turned round, lower case", " {\n\"push-type\" : \"liveactivity\" , \"message-storage-policy\" : 1 } ", apns.MostRecentMessageStored, ""},
	{"another spelling", `{"message-storage-policy":1,"push-type":"Liveactivity"}`, apns.MostRecentMessageStored, ""},
	{"escaped", `{"message-storage-policy":1,"push-type":"Live\u0041ctivity"}`, apns.MostRecentMessageStored, ""},
	{"too large", `{"x":"` + strings.Repeat("x", apns.MaxBroadcastBytes) + `"}`, 0, apns.PayloadTooLarge},
	{"empty", ``, 0, apns.BadRequestPayload},
	{"null", `null`, 0, apns.BadRequestPayload},
	{"list", `[]`, 0, apns.BadRequestPayload},
	{"text", `"x"`, 0, apns.BadRequestPayload},
	{"cut off", goodConfig[:len(goodConfig)-1], 0, apns.BadRequestPayload},
	{"two", goodConfig + goodConfig, 0, apns.BadRequestPayload},
	{"unknown attribute", `{"message-storage-policy":1,"push-type":"LiveActivity","name":"x"}`, 0, apns.BadRequestParams},
	{"unknown attribute, push type missing", `{"message-storage-policy":1,"name":"x"}`, 0, apns.BadRequestParams},
	{"attribute in another letter case", `{"Message-Storage-Policy":1,"push-type":"LiveActivity"}`, 0, apns.BadRequestParams},
	{"no attribute", `{}`, 0, apns.BadRequestParams},
	{"no policy", `{"push-type":"LiveActivity"}`, 0, apns.BadRequestParams},
	{"policy 2", `{"message-storage-policy":2,"push-type":"LiveActivity"}`, 0, apns.BadRequestParams},
	{"policy -1", `{"message-storage-policy":-1,"push-type":"LiveActivity"}`, 0, apns.BadRequestParams},
	{"policy 1.0", `{"message-storage-policy":1.0,"push-type":"LiveActivity"}`, 0, apns.BadRequestParams},
	{"policy a text", `{"message-storage-policy":"1","push-type":"LiveActivity"}`, 0, apns.BadRequestParams},
	{"policy null", `{"message-storage-policy":null,"push-type":"LiveActivity"}`, 0, apns.BadRequestParams},
	{"policy true", `{"message-storage-policy":true,"push-type":"LiveActivity"}`, 0, apns.BadRequestParams},
	{"no push type", `{"message-storage-policy":1}`, 0, apns.MissingPushType},
	{"push type alert", `{"message-storage-policy":1,"push-type":"alert"}`, 0, apns.InvalidPushType},
	{"push type empty", `{"message-storage-policy":1,"push-type":""}`, 0, apns.InvalidPushType},
	{"push type null", `{"message-storage-policy":1,"push-type":null}`, 0, apns.InvalidPushType},
	{"push type a number", `{"message-storage-policy":1,"push-type":1}`, 0, apns.InvalidPushType},
	{"push type that folds beyond ASCII", `{"message-storage-policy":1,"push-type":"Lıveactivity"}`, 0, apns.InvalidPushType},
}

func TestParseChannelConfig(t *testing.T) {
	for _, tt := range channelConfigs {
		t.Run(tt.name, func(t *testing.T) {
			got, r := ParseChannelConfig([]byte(tt.body))
			if reason := reasonOf(r); reason != tt.reason {
				t.Fatalf("got %q, want %q", reason, tt.reason)
			}
			if r == nil && got.StoragePolicy != tt.want {
				t.Errorf("got %v, want %v", got.StoragePolicy, tt.want)
			}
		})
	}
}

func reasonOf(r *apns.Rejection) apns.Reason {
	if r == nil {
		return ""
	}
	return r.Reason
}

func TestChannelConfigAppend(t *testing.T) {
	for policy, want := range map[apns.StoragePolicy]string{
		apns.MostRecentMessageStored: goodConfig, apns.NoMessageStored: strings.Replace(goodConfig, "1", "0", 1),
	} {
		if got := string(ChannelConfig{policy}.Append([]byte("before "))); got != "before "+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestChannelPrefixes proves that nothing that was cut off is read.
func TestChannelPrefixes(t *testing.T) {
	for n := range len(goodConfig) {
		if _, r := ParseChannelConfig([]byte(goodConfig[:n])); reasonOf(r) != apns.BadRequestPayload {
			t.Errorf("the first %d bytes: got %v, want %s", n, r, apns.BadRequestPayload)
		}
	}
	list := AppendChannelList(nil, []apns.ChannelID{"AAAA", "BBBB"})
	for n := range list {
		if got, err := ParseChannelList(list[:n]); err == nil {
			t.Errorf("the first %d bytes: got %v, want an error", n, got)
		}
	}
}

func FuzzChannelConfig(f *testing.F) {
	for _, tt := range channelConfigs {
		f.Add([]byte(tt.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		first, r := ParseChannelConfig(body)
		if r != nil {
			switch r.Reason {
			case apns.PayloadTooLarge, apns.BadRequestPayload, apns.BadRequestParams, apns.MissingPushType, apns.InvalidPushType:
			default:
				t.Fatalf("got %v", r)
			}
			return
		}
		second, r := ParseChannelConfig(first.Append(nil))
		if r != nil || first != second || !first.StoragePolicy.Known() {
			t.Fatalf("got %+v, then %+v, %v", first, second, r)
		}
	})
}

var channelLists = []struct {
	name, body string
	want       []apns.ChannelID
	err        string // part of it; empty for none
}{
	{"two", `{"channels":["AAAA","dHN0LXNyY2gtY2hubA=="]}`, []apns.ChannelID{"AAAA", "dHN0LXNyY2gtY2hubA=="}, ""},
	{"none", `{"channels":[]}`, []apns.ChannelID{}, ""},
	{"more members", `{"next":1,"channels":["AAAA"]}`, []apns.ChannelID{"AAAA"}, ""},
	{"missing", `{}`, nil, "there is none"},
	{"null", `{"channels":null}`, nil, "there is none"},
	{"no list", `{"channels":"AAAA"}`, nil, "cannot unmarshal"},
	{"no text", `{"channels":[1]}`, nil, "cannot unmarshal"},
	{"no channel ID", `{"channels":["AAAA","x"]}`, nil, "number 2: channel ID"},
	{"no object", `[]`, nil, "cannot unmarshal"},
	{"empty", ``, nil, "unexpected end"},
	{"too long", `{"channels":["` + strings.Repeat("x", MaxChannelListBytes) + `"]}`, nil, "at most 4194304 are read"},
}

func TestParseChannelList(t *testing.T) {
	for _, tt := range channelLists {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseChannelList([]byte(tt.body))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("got error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestChannelListOfAll proves that a list of all channels that an app may have
// is read.
func TestChannelListOfAll(t *testing.T) {
	ids := make([]apns.ChannelID, 10_000)
	for i := range ids {
		ids[i] = apns.ChannelID(fmt.Sprintf("%08d", i) + strings.Repeat("A", apns.MaxChannelIDBytes-8))
	}
	got, err := ParseChannelList(AppendChannelList(nil, ids))
	if err != nil || !cmp.Equal(got, ids) {
		t.Errorf("got %d channels, %v", len(got), err)
	}
}

func FuzzChannelList(f *testing.F) {
	for _, tt := range channelLists[:len(channelLists)-1] {
		f.Add([]byte(tt.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ids, err := ParseChannelList(body)
		if err != nil {
			return
		}
		first := AppendChannelList(nil, ids)
		again, err := ParseChannelList(first)
		if err != nil || !cmp.Equal(ids, again) || !bytes.Equal(first, AppendChannelList(nil, again)) {
			t.Fatalf("got %v, then %v, %v", ids, again, err)
		}
	})
}
