package gateway

import (
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/h2"
	"github.com/heraldpush/herald/wire"
)

// departure ends a connection in good order before its provider does
// (docs/protocol/provider.md#goaway).
type departure struct {
	conn   *h2.Conn
	raw    net.Conn
	within time.Duration // after it began, the connection is cut

	mu    sync.Mutex
	cut   *time.Timer   // nil before it began; guarded by mu
	done  chan struct{} // closed when the connection was cut; nil before it began; guarded by mu
	ended bool          // the connection has; guarded by mu
}

// begin tells the provider why, and waits for nothing: what is in progress is
// answered, and the connection then closed. A peer that does not read holds up
// even the last frames, so it is cut if it has not ended in time. Only the first
// call counts.
func (d *departure) begin(why apns.Reason) {
	d.beginWith(http2.ErrCodeNo, wire.AppendRejection(nil, apns.Reject(why, "")))
}

// beginWith is begin, with what GOAWAY is to say.
func (d *departure) beginWith(code http2.ErrCode, debugData []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended || d.cut != nil {
		return
	}
	d.conn.GoAway(code, debugData)
	done := make(chan struct{})
	d.done = done
	d.cut = time.AfterFunc(d.within, func() {
		defer close(done)
		_ = d.raw.Close()
	})
}

// end is called when the connection has ended.
func (d *departure) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.cut != nil && !d.cut.Stop() {
		<-d.done
	}
}
