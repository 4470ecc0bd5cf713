package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/internal/door"
)

// presented is the connections by the serial number of the certificate that
// their provider presented.
type presented = door.Roll[string, *session]

// refuseRevoked ends a handshake with a certificate that was revoked, or that
// the portal does not know (docs/protocol/provider.md#certificates). It is for
// resumed handshakes too, in which the certificate is not presented again.
func (g *Gateway) refuseRevoked(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	return g.cfg.Portal.CheckCertificate(state.PeerCertificates[0])
}

// endRevoked ends the connections of each certificate that is revoked, until ctx
// ends. It waits for none of them.
//
// A key that is revoked needs nothing here: the portal refuses its provider
// tokens from the next push on, and the connection may go on with another.
func (g *Gateway) endRevoked(ctx context.Context, all *presented) {
	for n := 0; ; {
		revoked, more := g.cfg.Portal.Revocations(n)
		n += len(revoked)
		for _, r := range revoked {
			theirs := all.Of(r.Certificate) // of none, if it is no certificate's
			for _, s := range theirs {
				s.departure.begin(apns.BadCertificate)
			}
			if len(theirs) > 0 {
				g.cfg.Logger.InfoContext(ctx, "gateway ends the connections of a revoked certificate",
					slog.String("serial", r.Certificate), slog.Int("connections", len(theirs)))
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}
