package h2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestStaticValues holds how long a value in the static table may be.
func TestStaticValues(t *testing.T) {
	longest := 0
	for _, f := range staticTable {
		longest = max(longest, len(f.value))
	}
	if longest != maxStaticValueBytes {
		t.Errorf("got %d bytes, want %d", longest, maxStaticValueBytes)
	}
}

// BenchmarkIndexEncoder encodes pushes, as a provider that has a key sends them.
func BenchmarkIndexEncoder(b *testing.B) {
	e := newIndexEncoder([]string{":authority", "authorization", "apns-topic", "apns-push-type", "apns-priority", "apns-expiration"})
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "api.push.apple.com"},
		{Name: ":path", Value: "/3/device/" + strings.Repeat("7d", 32)},
		{Name: "authorization", Value: "bearer " + strings.Repeat("x", 200)},
		{Name: "apns-topic", Value: "com.example.demo"},
		{Name: "apns-push-type", Value: "alert"},
		{Name: "apns-priority", Value: "10"},
		{Name: "apns-expiration", Value: "4000000000"},
		{Name: "apns-id", Value: "eabeae54-14a8-11e5-b60b-1697f925ec7b"},
		{Name: "content-length", Value: "220"},
	}
	var block []byte
	b.ReportAllocs()
	for b.Loop() {
		block = e.appendBlock(block[:0], fields)
	}
	if len(block) == 0 {
		b.Error("nothing was encoded")
	}
}
