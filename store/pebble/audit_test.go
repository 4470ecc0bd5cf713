package pebble

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/heraldpush/herald/spool"
)

// audit goes through all that is stored, and checks that the usage counts it and
// that the index names all of it and nothing else.
func audit(t *testing.T, s *Spool) {
	t.Helper()
	it, err := s.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var usage spool.Usage
	stored, indexed := map[string]version{}, map[string]version{}
	for valid := it.First(); valid; valid = it.Next() {
		key, b := bytes.Clone(it.Key()), it.Value()
		switch key[0] {
		case notificationKind, messageKind:
			v, err := parseVersion(key, b)
			if err != nil {
				t.Errorf("key %q: %v", key, err)
			}
			usage.Notifications++
			usage.Bytes += v.bytes
			v.bytes = 0
			stored[string(key)] = v
		case expiryKind:
			indexed[string(key[expiryPrefixBytes:])] = version{
				timestamp: spool.Timestamp(binary.BigEndian.Uint64(b)), due: minute(binary.BigEndian.Uint32(key[1:])), stored: true,
			}
		}
	}
	if err := it.Error(); err != nil {
		t.Error(err)
	}
	got := s.Usage()
	if got.Newest = 0; got != usage {
		t.Errorf("usage: got %+v, want %+v", got, usage)
	}
	if len(stored) != len(indexed) {
		t.Errorf("index: got %d keys for %d that are stored", len(indexed), len(stored))
	}
	for key, v := range stored {
		if indexed[key] != v {
			t.Errorf("index of %q: got %+v, want %+v", key, indexed[key], v)
		}
	}
}
