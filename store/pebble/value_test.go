package pebble

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// values are entries of all shapes.
func values() []spool.Entry {
	full := someWrite(1, 1).Entry
	full.Notification.CollapseID = "score"
	full.Notification.Expiration = apns.ExpiresAt(time.Unix(1_800_000_000, 0))
	once := full
	once.Notification.Expiration = apns.DoNotStore
	return []spool.Entry{full, once, someWrite(2, 1).Entry, {}}
}

// TestValue proves that a value comes back as it was, that no beginning of one is
// taken for one, and nothing that follows.
func TestValue(t *testing.T) {
	for i, e := range values() {
		b := appendValue(nil, e.DeviceToken, e.Timestamp, &e.Notification)
		if most := valueBytes(e.DeviceToken, &e.Notification); len(b) > most {
			t.Errorf("value %d: got %d bytes, want %d at most", i, len(b), most)
		}
		key := newNotificationKey(e.Address)
		got, err := parseEntry(key, b)
		if err != nil {
			t.Fatalf("value %d: %v", i, err)
		}
		if d := cmp.Diff(e, got, cmp.Comparer(func(x, y apns.Expiration) bool { return x == y })); d != "" {
			t.Errorf("value %d (-want +got):\n%s", i, d)
		}
		if got, err := parseVersion(key[:], b); err != nil || got != versionOfEntry(&e) {
			t.Errorf("version %d: got %+v, %v, want %+v", i, got, err, versionOfEntry(&e))
		}
		for n := range b {
			if _, err := parseValue(b[:n]); err == nil {
				t.Errorf("value %d: the first %d of %d bytes were taken for a value", i, n, len(b))
			}
		}
		if _, err := parseValue(append(b, 0)); err == nil {
			t.Errorf("value %d: a byte too many was taken", i)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	for _, e := range values() {
		f.Add(appendValue(nil, e.DeviceToken, e.Timestamp, &e.Notification))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseValue(b)
		if err != nil {
			return
		}
		again := appendValue(nil, v.deviceToken, v.timestamp, &v.notification)
		if len(again) > len(b) {
			t.Errorf("got %x from %x, want nothing longer", again, b)
		}
		if w, err := parseValue(again); err != nil || !bytes.Equal(appendValue(nil, w.deviceToken, w.timestamp, &w.notification), again) {
			t.Errorf("%x: got %x, %v when read again", b, again, err)
		}
	})
}

func FuzzEachRepeat(f *testing.F) {
	f.Add(appendRepeat([]byte{repeatsVersion}, repeat{spool.RepeatKey{1}, 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		again := []byte{repeatsVersion}
		if eachRepeat(b, func(x repeat) { again = appendRepeat(again, x) }) == nil && !bytes.Equal(again, b) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}
