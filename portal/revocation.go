package portal

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// RevocationReason is why a certificate was revoked, in the words of RFC 5280.
type RevocationReason string

// The reasons. The empty one is unspecified.
const (
	ReasonUnspecified          RevocationReason = "unspecified"
	ReasonKeyCompromise        RevocationReason = "key-compromise"
	ReasonSuperseded           RevocationReason = "superseded"
	ReasonCessationOfOperation RevocationReason = "cessation-of-operation"
	ReasonPrivilegeWithdrawn   RevocationReason = "privilege-withdrawn"
)

// reasonCodes are the numbers of RFC 5280 section 5.3.1.
var reasonCodes = map[RevocationReason]int{
	"":                         0,
	ReasonUnspecified:          0,
	ReasonKeyCompromise:        1,
	ReasonSuperseded:           4,
	ReasonCessationOfOperation: 5,
	ReasonPrivilegeWithdrawn:   9,
}

// Revocation says what was revoked: one of its fields is set.
type Revocation struct {
	// Certificate is the serial number of a push certificate.
	Certificate string
	// Key is that of a team.
	Key apns.KeyID
	// Device is whose certificate was revoked.
	Device apns.DeviceID
}

// RevokeCertificate revokes a push certificate, now: senders that use it are
// refused, and the gateways end their connections
// (docs/protocol/certificates.md#revocation). Revoking twice changes nothing.
// It returns a Refusal for an unknown serial number or reason.
func (p *Portal) RevokeCertificate(ctx context.Context, serial string, reason RevocationReason) (Certificate, error) {
	if _, ok := reasonCodes[reason]; !ok {
		return Certificate{}, refuse(CodeReason, "unspecified, key-compromise, superseded, cessation-of-operation or privilege-withdrawn.", "%q is not a reason", reason)
	}
	serial = normalSerial(serial)
	var c Certificate
	err := p.change(ctx, func(tx Tx) error {
		if err := get(tx, kindCertificate, serial, &c); isNotFound(err) {
			return errNoCertificate(serial)
		} else if err != nil || !c.Revoked.IsZero() {
			return err
		}
		c.Revoked, c.Reason = time.Now().UTC(), reason
		if err := note(ctx, tx, "certificate.revoke", serial, "%s", reason); err != nil {
			return err
		}
		return put(tx, kindCertificate, serial, c)
	}, func() {
		p.certificates[serial] = &c
		p.announce(Revocation{Certificate: serial})
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("revoking certificate: %w", err)
	}
	return c, nil
}

// RevokeKey revokes a provider's key, for good: the next push with a provider
// token that it signed is refused. Revoking twice changes nothing. It returns a
// Refusal for an unknown key.
func (p *Portal) RevokeKey(ctx context.Context, id apns.KeyID) (Key, error) {
	var k Key
	err := p.change(ctx, func(tx Tx) error {
		if err := get(tx, kindKey, string(id), &k); isNotFound(err) {
			return errNoKey(id)
		} else if err != nil || !k.Revoked.IsZero() {
			return err
		}
		k.Revoked = time.Now().UTC()
		if err := note(ctx, tx, "key.revoke", string(id), ""); err != nil {
			return err
		}
		return put(tx, kindKey, string(id), k)
	}, func() {
		p.keys[id] = &k
		maps.DeleteFunc(p.verified, func(_ string, v verified) bool { return v.key.ID == id })
		p.announce(Revocation{Key: id})
	})
	if err != nil {
		return Key{}, fmt.Errorf("revoking key: %w", err)
	}
	return k, nil
}

// RevokeDevice revokes the certificates of a device: the couriers close its
// connection, and it cannot come back. Revoking twice changes nothing. It
// returns a Refusal for an unknown device.
func (p *Portal) RevokeDevice(ctx context.Context, id apns.DeviceID) (DeviceCertificate, error) {
	var d DeviceCertificate
	err := p.change(ctx, func(tx Tx) error {
		if err := get(tx, kindDevice, string(id), &d); isNotFound(err) {
			return refuse(CodeDevice, "`herald portal device list` names them.", "there is no device %q", id)
		} else if err != nil || !d.Revoked.IsZero() {
			return err
		}
		d.Revoked = time.Now().UTC()
		if err := note(ctx, tx, "device.revoke", string(id), ""); err != nil {
			return err
		}
		return put(tx, kindDevice, string(id), d)
	}, func() {
		for _, serial := range d.serials() {
			p.devices[serial] = d.Revoked
		}
		p.announce(Revocation{Device: id})
	})
	if err != nil {
		return DeviceCertificate{}, fmt.Errorf("revoking device: %w", err)
	}
	return d, nil
}

// announce tells the doors of a revocation. The caller holds mu.
func (p *Portal) announce(r Revocation) {
	p.revocations = append(p.revocations, r)
	close(p.revoked)
	p.revoked = make(chan struct{})
}

// Revoked returns a channel that is closed at the next revocation of a
// certificate, key or device: then whoever was admitted is to be asked for
// again.
func (p *Portal) Revoked() <-chan struct{} {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.revoked
}

// Revocations returns what was revoked since the portal was opened, the oldest
// first and without the first n, and a channel that is closed at the next one.
// What it returns, the portal refuses already. A repeated revocation may be in
// it again.
func (p *Portal) Revocations(n int) (revoked []Revocation, more <-chan struct{}) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Clone(p.revocations[n:]), p.revoked
}

// crlLifetime is how long a certificate revocation list is good.
const crlLifetime = 24 * time.Hour

// CRL returns the list of what was revoked and has not expired, signed by the
// intermediate that issued it, DER (RFC 5280 section 5): for providers or
// devices. It is good for a day, for gateways that cannot ask this portal.
func (p *Portal) CRL(ctx context.Context, purpose credential.Purpose) ([]byte, error) {
	by := p.authority.providers
	if purpose == credential.ForDevices {
		by = p.authority.devices
	} else if purpose != credential.ForProviders {
		return nil, refuse(CodeCertificate, "providers or devices.", "there is no revocation list for %s", purpose)
	}
	now := time.Now().UTC().Truncate(time.Second)
	list := &x509.RevocationList{ThisUpdate: now, NextUpdate: now.Add(crlLifetime)}
	err := p.store.Update(ctx, func(tx Tx) error {
		n, err := next(tx, crlCounter)
		if err != nil {
			return err
		}
		list.Number = new(big.Int).SetUint64(n)
		if purpose == credential.ForDevices {
			return each(tx, kindDevice, func(d *DeviceCertificate) error {
				err := appendRevoked(list, d.Serial, d.Revoked, d.NotAfter, ReasonUnspecified)
				for _, f := range d.Former {
					err = errors.Join(err, appendRevoked(list, f.Serial, d.Revoked, f.NotAfter, ReasonUnspecified))
				}
				return err
			})
		}
		return each(tx, kindCertificate, func(c *Certificate) error {
			return appendRevoked(list, c.Serial, c.Revoked, c.NotAfter, c.Reason)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, by.Certificate, by.Key)
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	return der, nil
}

// appendRevoked adds a certificate to a list, if it belongs there.
func appendRevoked(list *x509.RevocationList, serial string, revoked, notAfter time.Time, reason RevocationReason) error {
	if revoked.IsZero() || list.ThisUpdate.After(notAfter) {
		return nil
	}
	n, ok := new(big.Int).SetString(serial, 16)
	if !ok {
		return fmt.Errorf("serial number %q is damaged", serial)
	}
	list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
		SerialNumber: n, RevocationTime: revoked.Truncate(time.Second), ReasonCode: reasonCodes[reason],
	})
	return nil
}
