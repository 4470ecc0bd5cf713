package pebble

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/provider/outbox"
)

// TestPain04RoomIsGivenBack proves that the folder is small again when all messages
// were removed, without anything else being written.
func TestPain04RoomIsGivenBack(t *testing.T) {
	if raceEnabled {
		t.Skip("what files take is no matter of the race detector's, and the engine is slow with it")
	}
	dir := filepath.Join(t.TempDir(), "outbox")
	const memTable = 256 << 10
	o, err := OpenOutbox(dir, Config{MemTableBytes: memTable, CacheBytes: 1 << 20, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}()
	var members audience.Members
	members.Add(7)
	const callers, each = 64, 80
	ids := make([]outbox.MessageID, callers*each)
	var calling sync.WaitGroup
	for c := range callers {
		calling.Go(func() {
			for n := range each {
				now := time.Now()
				s := outbox.Submission{
					Intent: outbox.Intent{
						ID: outbox.NewMessageID(now), App: 1, Deadline: now.Add(time.Hour),
						Notification: apns.Notification{Topic: "com.example.demo", Payload: somePayload(c*each + n)},
					},
					Shards: []outbox.Shard{outbox.NewShard(3, &members)},
				}
				if _, _, err := o.Submit(t.Context(), s, now); err != nil {
					t.Error(err)
					return
				}
				ids[c*each+n] = s.Intent.ID
			}
		})
	}
	calling.Wait()
	if full := folderBytes(t, dir); full < 4<<20 {
		t.Errorf("got %d bytes for %d messages: nothing is proven", full, len(ids))
	}
	if err := o.Remove(t.Context(), ids...); err != nil {
		t.Fatal(err)
	}
	// The logs of tables that were in memory are kept to be written again.
	const most = (memTables + 2) * memTable
	got := folderBytes(t, dir)
	for deadline := time.Now().Add(time.Minute); got > most && time.Now().Before(deadline); got = folderBytes(t, dir) {
		if _, err := o.Ended(t.Context(), time.Now(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if got > most {
		t.Errorf("got %d bytes for nothing, want %d at most", got, most)
	}
}

// somePayload returns 1,000 bytes that do not compress.
func somePayload(seed int) apns.Payload {
	b := make(apns.Payload, 1000)
	x := uint64(seed)*2654435761 + 1 //nolint:gosec // not negative
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// folderBytes returns how much the files of a folder take.
func folderBytes(t *testing.T, dir string) (n int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // it may be gone
			n += info.Size()
		}
	}
	return n
}
