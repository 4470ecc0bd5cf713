package admin

import (
	"context"
	"net/http"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
)

// KeyID names a signing key.
type KeyID struct {
	ID apns.KeyID `json:"id"`
}

// NewKey is a signing key that was just made.
type NewKey struct {
	Key portal.Key `json:"key"`
	// P8 is the private key, the text of a .p8 file. It is given this once.
	P8 string `json:"p8"`
}

// The operations on signing keys.
var (
	ListKeys = &Operation[Page, List[portal.Key]]{
		Row: Row{http.MethodGet, "/v1/portal/keys", "Lists the signing keys: their public halves."},
		run: func(ctx context.Context, p *portal.Portal, in Page) (List[portal.Key], error) {
			all, err := p.Keys(ctx)
			return page(all, in, func(k portal.Key) string { return string(k.ID) }), err
		},
	}
	CreateKey = &Operation[portal.KeySpec, NewKey]{
		Row: Row{http.MethodPost, "/v1/portal/keys", "Makes a signing key; the answer alone has its private half."},
		run: func(ctx context.Context, p *portal.Portal, in portal.KeySpec) (NewKey, error) {
			k, p8, err := p.CreateKey(ctx, in)
			return NewKey{k, string(p8)}, err
		},
	}
	RevokeKey = &Operation[KeyID, portal.Key]{
		Row: Row{http.MethodPost, "/v1/portal/keys/{id}/revoke", "Revokes a signing key, now and for good."},
		run: func(ctx context.Context, p *portal.Portal, in KeyID) (portal.Key, error) {
			return p.RevokeKey(ctx, in.ID)
		},
	}
)
