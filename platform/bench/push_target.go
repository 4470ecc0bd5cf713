package bench

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Peer is a client that is measured beside the library.
type Peer struct {
	// Name is its name in reports and in PushConfig.Peers.
	Name string
	// Open makes a Pusher with one connection, or with as many as such a client
	// opens by itself. It need not connect yet.
	Open func(ctx context.Context, l *PushLoad) (Pusher, error)
}

// Pusher is a client under test.
type Pusher interface {
	// Push sends push i of the load, and waits until it was accepted. It is
	// called from many goroutines at a time.
	Push(ctx context.Context, i int64) error
	// Close ends its connections.
	Close() error
}

// BulkPusher is a Pusher that has a way to send many at once.
type BulkPusher interface {
	Pusher
	// PushAll sends the pushes of the load with the given numbers, and says of
	// each how it ended.
	PushAll(ctx context.Context, pushes iter.Seq[int64]) iter.Seq2[int64, error]
}

// PushTarget is what a client has to know to push to the sink.
type PushTarget struct {
	Address    string // host:port
	ServerName string // in the certificate
	Roots      []byte // PEM
	P8         []byte // a provider key
	KeyID      apns.KeyID
	TeamID     apns.TeamID
	Topic      apns.Topic
	Payload    []byte
}

// PushLoad is what a client sends, and where to. All of it is the same for
// every client.
type PushLoad struct {
	PushTarget
	// Streams is how many pushes may be in flight on a connection, and Timeout how
	// long each may take.
	Streams int
	Timeout time.Duration
	// Roots are those of the target.
	Roots *x509.CertPool

	tokens []string
	ids    []string
}

// The device tokens, and the different apns-ids, of which there are more than may be
// in flight, and far more than fit into a header table.
const (
	pushTokens = 1000
	pushIDs    = 8192
)

// Priority and Expiration are those of all pushes.
const Priority = apns.PriorityImmediate

// Expiration returns the apns-expiration of all pushes.
func Expiration() time.Time { return time.Unix(4_000_000_000, 0) }

func newPushLoad(p *pushPlan) (*PushLoad, error) {
	l := &PushLoad{PushTarget: p.Target, Streams: p.Streams, Timeout: p.Timeout, Roots: x509.NewCertPool()}
	if !l.Roots.AppendCertsFromPEM(p.Target.Roots) {
		return nil, errors.New("no authority to trust")
	}
	for i := range pushTokens {
		sum := sha256.Sum256(fmt.Appendf(nil, "device %d", i))
		l.tokens = append(l.tokens, hex.EncodeToString(sum[:]))
	}
	for i := range pushIDs {
		sum := sha256.Sum256(fmt.Appendf(nil, "push %d", i))
		l.ids = append(l.ids, fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]))
	}
	return l, nil
}

// DeviceToken returns the device token of push i, in hex.
func (l *PushLoad) DeviceToken(i int64) string { return l.tokens[i%pushTokens] }

// ID returns the apns-id of push i.
func (l *PushLoad) ID(i int64) string { return l.ids[i%pushIDs] }

// TLS returns how a client without settings of its own shakes hands.
func (l *PushLoad) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: l.Roots, ServerName: l.ServerName, NextProtos: []string{"h2"}}
}

// Authorization returns the header field for a client that does not make it by
// itself.
func (l *PushLoad) Authorization() (string, error) {
	key, err := credential.ParseP8(l.P8)
	if err != nil {
		return "", err
	}
	token, err := credential.MintProviderToken(key, l.KeyID, l.TeamID, time.Now())
	return "bearer " + token, err
}
