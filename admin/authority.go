package admin

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// Authority is the certificate authority, without its keys.
type Authority struct {
	Root Issuer `json:"root"`
	// Intermediates sign what the root does not.
	Intermediates []Issuer `json:"intermediates"`
}

// Issuer is a certificate of the authority.
type Issuer struct {
	// Purpose is whom it issues to; empty for the root.
	Purpose   credential.Purpose `json:"purpose,omitempty"`
	Name      string             `json:"name"`
	NotBefore time.Time          `json:"not_before"`
	NotAfter  time.Time          `json:"not_after"`
	// SHA256 is of the certificate, hex.
	SHA256 string `json:"sha256"`
	PEM    string `json:"pem"`
}

// CRLRequest names a certificate revocation list.
type CRLRequest struct {
	// Purpose is ForProviders or ForDevices.
	Purpose credential.Purpose `json:"purpose"`
}

// CRL is a certificate revocation list.
type CRL struct {
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	// Revoked is how many certificates are on it.
	Revoked int    `json:"revoked"`
	DER     []byte `json:"der"`
}

// The operations on the authority.
var (
	GetAuthority = &Operation[None, Authority]{
		Row: Row{http.MethodGet, "/v1/portal/authority", "Shows the certificates of the authority: root and intermediates."},
		run: func(_ context.Context, p *portal.Portal, _ None) (Authority, error) { return authorityOf(p), nil },
	}
	GetCRL = &Operation[CRLRequest, CRL]{
		Row: Row{http.MethodGet, "/v1/portal/crl/{purpose}", "Signs the list of what was revoked, of providers or devices, good for a day."},
		run: func(ctx context.Context, p *portal.Portal, in CRLRequest) (CRL, error) {
			der, err := p.CRL(ctx, in.Purpose)
			if err != nil {
				return CRL{}, err
			}
			list, err := x509.ParseRevocationList(der)
			if err != nil {
				return CRL{}, err
			}
			return CRL{list.ThisUpdate, list.NextUpdate, len(list.RevokedCertificateEntries), der}, nil
		},
	}
)

func authorityOf(p *portal.Portal) Authority {
	return Authority{
		Root: issuer("", p.Root()),
		Intermediates: []Issuer{
			issuer(credential.ForProviders, p.ProviderIssuer()),
			issuer(credential.ForDevices, p.DeviceIssuer()),
			issuer(credential.ForServers, p.ServerIssuer()),
		},
	}
}

func issuer(purpose credential.Purpose, cert *x509.Certificate) Issuer {
	sum := sha256.Sum256(cert.Raw)
	return Issuer{
		Purpose: purpose, Name: cert.Subject.CommonName, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
		SHA256: hex.EncodeToString(sum[:]), PEM: string(credential.MarshalCertificatePEM(cert)),
	}
}
