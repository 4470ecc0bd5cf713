package device

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

const (
	// maxRenewalPause is the longest time between two attempts to renew; a third
	// of the certificate's life is left for them.
	maxRenewalPause = 6 * time.Hour
	// renewalCheck is how often the clock is looked at: a machine that sleeps
	// stops its timers.
	renewalCheck = time.Hour
)

// ErrCertificateExpired says that the device was away for so long that its
// certificate expired. It can not be renewed any more: Reactivate, with a new
// enrolment code, makes another device of it.
var ErrCertificateExpired = errors.New("the certificate of this device has expired: Reactivate with a new enrolment code")

// renewalDue returns when a certificate is to be renewed: after two thirds of
// its life, and up to a twentieth of it later, so that devices that were
// activated together do not come together. It is the same each time.
func renewalDue(cert *x509.Certificate) time.Time {
	life := cert.NotAfter.Sub(cert.NotBefore)
	sum := sha256.Sum256(cert.Raw)
	part := time.Duration(binary.BigEndian.Uint32(sum[:])>>16) * (life / 20) >> 16
	return cert.NotBefore.Add(life*2/3 + part)
}

// keepRenewed renews the certificate whenever that is due, until ctx ends.
func (d *Device) keepRenewed(ctx context.Context) {
	pause := backoff{limit: time.Minute, most: maxRenewalPause}
	for {
		wait := time.Until(renewalDue(d.Certificate()))
		if wait <= 0 {
			err := d.Renew(ctx)
			if err == nil {
				pause = backoff{limit: time.Minute, most: maxRenewalPause}
				continue
			}
			if ctx.Err() != nil {
				return
			}
			wait = pause.next()
			d.config.Logger.Warn("certificate was not renewed", "error", err, "expires", d.Certificate().NotAfter, "retry_in", wait)
		}
		timer := time.NewTimer(min(wait, renewalCheck))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// Renew renews the certificate now. Run does so by itself when two thirds of
// its life are over; the old one stays good until its end, and a connection
// goes on. It makes one attempt.
//
// The error wraps ErrCertificateExpired, is an *ActivationError, one of
// Config.Dir, or says why the activation door was not reached.
func (d *Device) Renew(ctx context.Context) error {
	if err := d.renew(ctx); err != nil {
		return fmt.Errorf("device: renewing the certificate: %w", err)
	}
	return nil
}

func (d *Device) renew(ctx context.Context) error {
	select {
	case d.renewing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.renewing }()
	d.mu.Lock()
	identity, id := d.identity, d.id
	d.mu.Unlock()
	if identity.Certificate == nil {
		return errors.New("the device is not activated yet")
	}
	key, err := d.nextKey(identity)
	if err != nil {
		return err
	}
	csr, err := newRequest(key)
	if err != nil {
		return err
	}
	at, serverName := d.config.doorURL(doorRenewal)
	answer, err := d.ask(ctx, at, serverName, func(now time.Time) (any, error) {
		p, err := proof(identity, wire.ProofRenewal, csr, now)
		return wire.RenewalRequest{DeviceProof: p, CSR: csr}, err
	})
	if refused := new(ActivationError); errors.As(err, &refused) && time.Now().After(identity.Certificate.NotAfter) {
		return fmt.Errorf("%w: %w", ErrCertificateExpired, err)
	}
	if err != nil {
		return err
	}
	renewed, same, err := parseActivation(answer, key)
	switch {
	case err != nil:
		return err
	case same != id:
		return fmt.Errorf("the activation door answered with a certificate for device %s", same)
	}
	if err := d.useIdentity(renewed, id); err != nil {
		return err
	}
	d.config.Logger.Info("certificate renewed", "device", id, "expires", renewed.Certificate.NotAfter)
	return nil
}

// nextKey returns the key to renew for. A new one is in the folder before it is
// asked for, so that the next attempt asks for the same.
func (d *Device) nextKey(old credential.Identity) (crypto.Signer, error) {
	if d.config.KeepKey {
		return old.Key, nil
	}
	key, err := d.folder.pendingKey()
	if err != nil || !key.PublicKey.Equal(old.Certificate.PublicKey) {
		return key, err
	}
	// It got its certificate, and the process ended before it was removed.
	if err := d.folder.remove(pendingFile); err != nil {
		return nil, &folderError{err}
	}
	return d.folder.pendingKey()
}
