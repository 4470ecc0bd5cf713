package apnsclient

import (
	"sync"
	"unsafe"

	"github.com/heraldpush/herald/apns"
)

const (
	idBytes  = 36
	idsAhead = 64
)

// ids makes the IDs of notifications, random UUIDs. Many of them share one piece of
// memory, so that an ID costs next to nothing. The zero value is ready for use.
type ids struct {
	mu    sync.Mutex
	uuids apns.UUIDs // guarded by mu
	text  []byte     // of the last IDs; never written over; guarded by mu
}

func (i *ids) next() apns.NotificationID {
	i.mu.Lock()
	defer i.mu.Unlock()
	if cap(i.text)-len(i.text) < idBytes {
		i.text = make([]byte, 0, idBytes*idsAhead)
	}
	from := len(i.text)
	i.text = i.uuids.Append(i.text)
	b := i.text[from:]
	return apns.NotificationID(unsafe.String(unsafe.SliceData(b), len(b)))
}
