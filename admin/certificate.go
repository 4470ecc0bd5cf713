package admin

import (
	"context"
	"net/http"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

// CertificateRequest asks for a push certificate.
type CertificateRequest struct {
	App  apns.Topic          `json:"app"`
	Kind credential.PushKind `json:"kind"`
	// CSR is the certificate signing request, PEM.
	CSR string `json:"certificate_signing_request"`
}

// CertificateID names a push certificate.
type CertificateID struct {
	Serial string `json:"serial"`
}

// CertificateRevocation revokes a push certificate.
type CertificateRevocation struct {
	Serial string                  `json:"serial"`
	Reason portal.RevocationReason `json:"reason,omitempty"`
}

// The operations on push certificates.
var (
	ListCertificates = &Operation[Page, List[portal.Certificate]]{
		Row: Row{http.MethodGet, "/v1/portal/certificates", "Lists the push certificates ever issued."},
		run: func(ctx context.Context, p *portal.Portal, in Page) (List[portal.Certificate], error) {
			all, err := p.Certificates(ctx)
			return page(all, in, func(c portal.Certificate) string { return c.Serial }), err
		},
	}
	GetCertificate = &Operation[CertificateID, portal.Certificate]{
		Row: Row{http.MethodGet, "/v1/portal/certificates/{serial}", "Shows a push certificate, with its DER."},
		run: func(_ context.Context, p *portal.Portal, in CertificateID) (portal.Certificate, error) {
			return p.Certificate(in.Serial)
		},
	}
	IssueCertificate = &Operation[CertificateRequest, portal.Certificate]{
		Row: Row{http.MethodPost, "/v1/portal/certificates", "Issues a push certificate; renewing is issuing again."},
		run: func(ctx context.Context, p *portal.Portal, in CertificateRequest) (portal.Certificate, error) {
			return p.IssueCertificate(ctx, in.App, in.Kind, []byte(in.CSR))
		},
	}
	RevokeCertificate = &Operation[CertificateRevocation, portal.Certificate]{
		Row: Row{http.MethodPost, "/v1/portal/certificates/{serial}/revoke", "Revokes a push certificate, now and for good."},
		run: func(ctx context.Context, p *portal.Portal, in CertificateRevocation) (portal.Certificate, error) {
			return p.RevokeCertificate(ctx, in.Serial, in.Reason)
		},
	}
)
