package load

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// testPlan returns a plan of two paths and two bad pushes.
func testPlan(shape Shape) Plan {
	return Plan{
		Address: "127.0.0.1:443", ServerName: "localhost", Shape: shape, Connections: 2, Streams: 10, Pushes: 100,
		Push: Push{
			Authorization: "bearer " + strings.Repeat("a1.Z", 50), Topic: "com.example.app", PushType: "alert",
			Priority: "10", Expiration: "0", Payload: []byte(`{"aps":{}}`),
		},
		Paths: []string{"/3/device/00", "/3/device/01"},
		Bad: []Bad{
			{Priority: "11", Status: 400, Reason: "BadPriority"},
			{Topic: "com.example.other", Path: "/3/device/02", Payload: []byte("{"), Status: 400, Reason: "PayloadEmpty"},
		},
		BadShare: 0.5,
	}
}

// received is a request as a server reads it.
type received struct {
	fields map[string]string
	body   string
}

// read reads a HEADERS and a DATA frame.
func read(t *testing.T, decoder *hpack.Decoder, request []byte) (r received, block []byte) {
	t.Helper()
	fr := http2.NewFramer(nil, bytes.NewReader(request))
	for _, want := range []http2.FrameType{http2.FrameHeaders, http2.FrameData} {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Header(); got.Type != want || got.StreamID != 7 {
			t.Fatalf("got %v, want a frame %v on stream 7", got, want)
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			block = slices.Clone(f.HeaderBlockFragment())
			fields, err := decoder.DecodeFull(block)
			if err != nil {
				t.Fatal(err)
			}
			r.fields = map[string]string{}
			for _, f := range fields {
				r.fields[f.Name] = f.Value
			}
		case *http2.DataFrame:
			r.body = string(f.Data())
			if !f.StreamEnded() {
				t.Error("the body does not end the stream")
			}
		}
	}
	return r, block
}

func TestRequests(t *testing.T) {
	for _, shape := range []Shape{Literal, Indexed} {
		t.Run(string(shape), func(t *testing.T) {
			p := testPlan(shape)
			rs, err := newRequests(&p)
			if err != nil {
				t.Fatal(err)
			}
			decoder := hpack.NewDecoder(maxTableBytes, nil)
			head := frameHeaderBytes + int(rs.first[1])<<8 + int(rs.first[2])
			first, _ := read(t, decoder, appendRequest(nil, rs.first[:head], rs.first[head:], 7))
			for name, want := range map[string]string{
				":method": "POST", ":scheme": "https", ":authority": "localhost", ":path": "/3/device/00",
				"authorization": p.Push.Authorization, "apns-topic": "com.example.app", "apns-push-type": "alert",
				"apns-priority": "10", "apns-expiration": "0", "apns-id": sameID,
			} {
				if got := first.fields[name]; got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			for i, path := range p.Paths {
				got, block := read(t, decoder, appendRequest(nil, rs.good[i], rs.payload, 7))
				if got.fields[":path"] != path || got.body != `{"aps":{}}` {
					t.Errorf("request %d: got %v, want the path %s", i, got, path)
				}
				// What the shapes are for: the authorization is spelled out, or is one byte.
				if short := len(block) < 100; short != (shape == Indexed) {
					t.Errorf("request %d has %d bytes of header fields", i, len(block))
				}
			}
			bad, _ := read(t, decoder, appendRequest(nil, rs.bad[0].head, rs.bad[0].payload, 7))
			if got := bad.fields["apns-priority"]; got != "11" {
				t.Errorf("bad priority: got %q, want 11", got)
			}
			bad, _ = read(t, decoder, appendRequest(nil, rs.bad[1].head, rs.bad[1].payload, 7))
			if bad.fields["apns-topic"] != "com.example.other" || bad.fields[":path"] != "/3/device/02" || bad.body != "{" {
				t.Errorf("bad push: got %v", bad)
			}
			// The bad ones left the table as it was.
			again, _ := read(t, decoder, appendRequest(nil, rs.good[0], rs.payload, 7))
			if again.fields["apns-priority"] != "10" || again.fields["apns-topic"] != "com.example.app" {
				t.Errorf("after the bad ones: got %v", again)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	p := testPlan(Indexed)
	rs, err := newRequests(&p)
	if err != nil {
		t.Fatal(err)
	}
	own := [12]byte([]byte("0123456789ab"))
	number(rs.good[0], 0xfeed, &own)
	if got := string(rs.good[0][len(rs.good[0])-apnsIDBytes:]); got != "0000feed-3b5d-4e63-9f0a-0123456789ab" {
		t.Errorf("got %s", got)
	}
}

// TestStamp has good pushes carry the time of sending, and bad ones as they are.
func TestStamp(t *testing.T) {
	p := testPlan(Indexed)
	p.Push.Payload = []byte(`{"aps":{"alert":"0000000000000000000"}}`)
	p.Push.StampAt = 17
	rs, err := newRequests(&p)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{requests: rs}
	for n, want := range map[int64]string{
		1: `{"aps":{"alert":"1790000000123456789"}}`,
		0: `{"aps":{"alert":"0000000000000000000"}}`, // which is bad
	} {
		l.out = l.out[:0]
		l.put(&slot{stream: 7, sent: time.Unix(1790000000, 123456789)}, n)
		if got := string(l.out[len(l.out)-len(want):]); got != want {
			t.Errorf("push %d: got %s, want %s", n, got, want)
		}
	}
}

func TestTooManyFields(t *testing.T) {
	p := testPlan(Indexed)
	p.Push.Authorization = strings.Repeat("a", maxTableBytes)
	if _, err := newRequests(&p); err == nil {
		t.Error("got nil, want an error: the table cannot hold that")
	}
}
