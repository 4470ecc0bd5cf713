package courier

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/wire"
)

// Where the activation door answers devices that have a certificate.
const (
	RenewalPath = "/v1/renew"
	ErasurePath = "/v1/erase"
)

// readBody reads the JSON object of a request into v. It answers, and returns
// false, if that is none.
func (a *activation) readBody(w http.ResponseWriter, r *http.Request, v any, members string) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxActivationBytes))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		a.refuse(w, r, wire.Problem{Title: "Request too large", Status: http.StatusRequestEntityTooLarge, Detail: "The body may have 64 KiB."})
		return false
	}
	if err == nil {
		err = json.Unmarshal(body, v)
	}
	if err != nil {
		a.refuse(w, r, wire.Problem{Title: "Bad request", Status: http.StatusBadRequest, Detail: "The body must be a JSON object with " + members + "."})
		return false
	}
	return true
}

// wrongProof returns what is wrong with a proof whose certificate is fine, or
// nil.
func (a *activation) wrongProof(p wire.DeviceProof, cert *x509.Certificate, purpose wire.ProofPurpose, over string) *wire.Problem {
	nonce, err := p.Verify(cert.PublicKey, purpose, over)
	now := time.Now()
	switch {
	case err != nil:
		return &wire.Problem{Title: "Proof refused", Status: http.StatusForbidden, Detail: "The signature does not show that the device has the key of its certificate."}
	case nonce.Time().Sub(now).Abs() > nonceWindow:
		return &wire.Problem{Title: wire.ClockProblem, Status: http.StatusUnprocessableEntity, Detail: "The time of the nonce is more than 15 minutes off; the header Date has the right one."}
	case !a.nonces.use(nonce, now):
		return &wire.Problem{Title: "Proof refused", Status: http.StatusForbidden, Detail: "The nonce was used before."}
	}
	return nil
}

// certificate reads the one of a proof, or returns what is wrong.
func certificate(p wire.DeviceProof) (*x509.Certificate, *wire.Problem) {
	certs, err := credential.ParseCertificatesPEM([]byte(p.Certificate), maxProofCertificates)
	if err != nil {
		return nil, &wire.Problem{Title: "Bad request", Status: http.StatusBadRequest, Detail: err.Error()}
	}
	return certs[0], nil
}

// maxProofCertificates bounds the certificate with its issuers; only the first
// is looked at.
const maxProofCertificates = 5

// notAdmitted returns the problem for a certificate that is not good.
func notAdmitted(err error) wire.Problem {
	if errors.Is(err, portal.ErrDeviceExpired) {
		return wire.Problem{Title: "Certificate expired", Status: http.StatusForbidden, Detail: "The device was away for too long to renew its certificate. Activate it anew, with a new enrolment code."}
	}
	return wire.Problem{Title: "Certificate refused", Status: http.StatusForbidden, Detail: "It is not one of this service, or it is revoked. Activate the device anew, with a new enrolment code."}
}

// renew gives a device a further certificate (docs/protocol/courier.md#renewal).
func (a *activation) renew(w http.ResponseWriter, r *http.Request) {
	var req wire.RenewalRequest
	if !a.readBody(w, r, &req, "certificate, nonce, signature and certificate_signing_request") {
		return
	}
	cert, problem := certificate(req.DeviceProof)
	if problem != nil {
		a.refuse(w, r, *problem)
		return
	}
	// The certificate first: no work for a stranger's signature.
	id, err := a.cfg.Portal.AdmitDevice(cert)
	if err != nil {
		a.refuse(w, r, notAdmitted(err))
		return
	}
	if problem := a.wrongProof(req.DeviceProof, cert, wire.ProofRenewal, req.CSR); problem != nil {
		a.refuse(w, r, *problem)
		return
	}
	ctx, cancel := context.WithTimeout(portal.WithActor(r.Context(), "device "+string(id)), storeTimeout)
	defer cancel()
	issued, err := a.cfg.Portal.RenewDevice(ctx, cert, []byte(req.CSR))
	if err != nil {
		a.failed(ctx, w, r, "renewal", err)
		return
	}
	a.cfg.Logger.InfoContext(ctx, "device certificate renewed", slog.String("device", string(id)), slog.Time("until", issued.NotAfter))
	a.answer(w, r, "application/json", http.StatusOK, wire.ActivationResponse{DeviceID: id, Certificate: string(issued.ChainPEM)})
}

// erase ends a device: its device tokens, and its certificates
// (docs/protocol/courier.md#erasure).
func (a *activation) erase(w http.ResponseWriter, r *http.Request) {
	var req wire.ErasureRequest
	if !a.readBody(w, r, &req, "certificate, nonce and signature") {
		return
	}
	id, problem := a.formerDevice(req.DeviceProof, wire.ProofErasure, "")
	if problem != nil {
		a.refuse(w, r, *problem)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	if err := a.end(ctx, id); err != nil {
		a.failed(ctx, w, r, "erasure", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// formerDevice returns the device that a proof is of, which may have expired.
func (a *activation) formerDevice(p wire.DeviceProof, purpose wire.ProofPurpose, over string) (apns.DeviceID, *wire.Problem) {
	cert, problem := certificate(p)
	if problem != nil {
		return "", problem
	}
	id, err := a.cfg.Portal.FormerDevice(cert)
	if err != nil {
		return "", new(notAdmitted(err))
	}
	return id, a.wrongProof(p, cert, purpose, over)
}

// end lets a device be no more. It may be told twice.
func (a *activation) end(ctx context.Context, id apns.DeviceID) error {
	// First it can not come back, then its tokens go.
	if _, err := a.cfg.Portal.RevokeDevice(portal.WithActor(ctx, "device "+string(id)), id); err != nil {
		return err
	}
	ordinal, err := a.cfg.Registry.EnterDevice(ctx, id)
	if err != nil {
		return err
	}
	if err := a.cfg.Registry.RemoveDevice(ctx, ordinal, time.Now()); err != nil {
		return err
	}
	a.cfg.Logger.InfoContext(ctx, "device erased", slog.String("device", string(id)))
	return nil
}

// failed answers for an error of the portal or the registry.
func (a *activation) failed(ctx context.Context, w http.ResponseWriter, r *http.Request, what string, err error) {
	if errors.Is(err, portal.ErrDeviceExpired) {
		a.refuse(w, r, notAdmitted(err))
		return
	}
	if refused, ok := errors.AsType[*portal.Refusal](err); ok {
		status := http.StatusBadRequest
		if refused.Code == portal.CodeTooMany {
			status = http.StatusTooManyRequests
		}
		a.refuse(w, r, wire.Problem{Title: "Request refused", Status: status, Detail: refused.Error()})
		return
	}
	a.cfg.Logger.ErrorContext(ctx, what+" failed", slog.Any("error", err)) //nolint:sloglint // one of three words
	a.refuse(w, r, wire.Problem{Title: "Internal error", Status: http.StatusInternalServerError, Detail: "The fault is on the service's side; try again later."})
}
