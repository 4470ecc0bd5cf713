package apnsclient

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/heraldpush/herald/apns"
)

// devicePath is what a device token follows, in hex
// (docs/protocol/provider.md#request).
const devicePath = "/3/device/"

// request is a push that has passed the checks.
type request struct {
	to            apns.DeviceToken
	notification  apns.Notification
	providerToken string // empty with a certificate
}

// complete returns n with what the gateway would otherwise make up: an ID, so
// that a push without an answer can be sent again under the same, and a push
// type.
func complete(n apns.Notification) apns.Notification {
	if n.ID == "" {
		n.ID = newID()
	}
	if n.PushType == "" {
		n.PushType = apns.InferPushType(n.Topic, n.Payload)
	}
	return n
}

// newID returns a random UUID, version 4 (RFC 9562 section 5.4).
func newID() apns.NotificationID {
	var u [16]byte
	rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	h := hex.EncodeToString(u[:])
	return apns.NotificationID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

// http returns r as a request to the gateway host (docs/protocol/provider.md#headers).
func (r request) http(ctx context.Context, host string) *http.Request {
	n := r.notification
	header := http.Header{
		// An empty one keeps the engine from naming itself.
		"User-Agent": {""},
	}
	set := func(name, value string) {
		if value != "" {
			header[name] = []string{value}
		}
	}
	if r.providerToken != "" {
		set("Authorization", "bearer "+r.providerToken)
	}
	set("Apns-Id", string(n.ID))
	set("Apns-Topic", string(n.Topic))
	set("Apns-Push-Type", string(n.PushType))
	set("Apns-Collapse-Id", string(n.CollapseID))
	if n.Priority != 0 {
		set("Apns-Priority", strconv.Itoa(int(n.Priority)))
	}
	if at, ok := n.Expiration.Header(); ok {
		set("Apns-Expiration", at)
	}
	body := func() io.ReadCloser { return io.NopCloser(bytes.NewReader(n.Payload)) }
	return (&http.Request{
		Method:        http.MethodPost,
		URL:           &url.URL{Scheme: "https", Host: host, Path: devicePath + r.to.Hex()},
		Host:          host,
		Header:        header,
		Body:          body(),
		ContentLength: int64(len(n.Payload)),
		// With it the engine can send again what the gateway did not begin with.
		GetBody: func() (io.ReadCloser, error) { return body(), nil },
	}).WithContext(ctx)
}
