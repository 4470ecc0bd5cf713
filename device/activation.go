package device

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// maxIssuers bounds the certificates behind the device's own.
const maxIssuers = 4

// activate gets the device its certificate, trying until the activation door
// answers. The error is an *ActivationError, one of the folder, or ctx's.
func (d *Device) activate(ctx context.Context, code string, former credential.Identity) error {
	key, err := d.folder.pendingKey()
	if err != nil {
		return err
	}
	csr, err := newRequest(key)
	if err != nil {
		return err
	}
	body := func(now time.Time) (any, error) {
		req := wire.ActivationRequest{EnrolmentCode: code, CSR: csr}
		if former.Certificate != nil {
			p, err := proof(former, wire.ProofFormer, csr, now)
			if err != nil {
				return nil, err
			}
			req.Former = &p
		}
		return req, nil
	}
	var pause backoff
	for {
		answer, err := d.ask(ctx, d.config.Activation, "", body)
		var identity credential.Identity
		var id apns.DeviceID
		if err == nil {
			identity, id, err = parseActivation(answer, key)
		}
		var refused *ActivationError
		switch {
		case err == nil:
			if err := d.useIdentity(identity, id); err != nil {
				return err
			}
			d.config.Logger.Info("device activated", "device", id)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refused):
			return err
		}
		wait := pause.next()
		d.setUp(false, err)
		d.config.Logger.Warn("activation did not succeed", "error", err, "retry_in", wait)
		if err := d.rest(ctx, wait); err != nil {
			return err
		}
	}
}

// newRequest returns a certificate signing request for a key, PEM.
func newRequest(key crypto.Signer) (string, error) {
	csr, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "Herald device"})
	if err != nil {
		return "", err
	}
	return string(credential.MarshalRequestPEM(csr)), nil
}

// useIdentity keeps an identity, and uses it from the next connection on. The
// error is a *folderError.
func (d *Device) useIdentity(identity credential.Identity, id apns.DeviceID) error {
	if err := d.folder.saveIdentity(identity); err != nil {
		return &folderError{err}
	}
	d.mu.Lock()
	d.identity, d.id, d.memory.changed = identity, id, true
	d.mu.Unlock()
	return nil
}

// parseActivation reads a good answer: a certificate for key.
func parseActivation(body []byte, key crypto.Signer) (credential.Identity, apns.DeviceID, error) {
	identity, id, err := parseIssued(body, key)
	if err != nil {
		return credential.Identity{}, "", fmt.Errorf("the answer of the activation door: %w", err)
	}
	return identity, id, nil
}

func parseIssued(body []byte, key crypto.Signer) (credential.Identity, apns.DeviceID, error) {
	var resp wire.ActivationResponse
	if err := json.Unmarshal(body, &resp); err != nil {
		return credential.Identity{}, "", err
	}
	certs, err := credential.ParseCertificatesPEM([]byte(resp.Certificate), 1+maxIssuers)
	if err != nil {
		return credential.Identity{}, "", err
	}
	id, err := credential.ParseDeviceCertificate(certs[0])
	if err != nil {
		return credential.Identity{}, "", err
	}
	pub, ok := key.Public().(interface{ Equal(x crypto.PublicKey) bool })
	switch {
	case id != resp.DeviceID:
		return credential.Identity{}, "", errors.New("the certificate is for another device ID")
	case !ok || !pub.Equal(certs[0].PublicKey):
		return credential.Identity{}, "", credential.ErrKeyMismatch
	}
	return credential.Identity{Certificate: certs[0], Chain: certs[1:], Key: key}, id, nil
}
