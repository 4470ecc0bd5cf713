package portal_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/portal"
)

func parsed(t *testing.T, d portal.DeviceCertificate) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(d.DER)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestActivationRepeated is a device that did not get the answer.
func TestActivationRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		_, code, err := p.CreateEnrolmentCode(t.Context(), 1, 30*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		request := csr(t)
		first, err := p.ActivateDevice(t.Context(), code, request)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(23 * time.Hour)
		again, err := p.ActivateDevice(t.Context(), code, request)
		if err != nil || again.Device != first.Device || !bytes.Equal(again.ChainPEM, first.ChainPEM) {
			t.Errorf("again: got device %s and %v, want %s and its certificate", again.Device, err, first.Device)
		}
		for name, ask := range map[string]func() ([]byte, string){
			"another key":  func() ([]byte, string) { return csr(t), code },
			"another code": func() ([]byte, string) { return request, "guess" },
		} {
			request, code := ask()
			if _, err := p.ActivateDevice(t.Context(), code, request); !errors.Is(err, portal.ErrEnrolmentCode) {
				t.Errorf("%s: got %v, want %v", name, err, portal.ErrEnrolmentCode)
			}
		}
		if devices, err := p.Devices(t.Context()); len(devices) != 1 || err != nil {
			t.Errorf("devices: got %d and %v, want one", len(devices), err)
		}
		time.Sleep(2 * time.Hour)
		if _, err := p.ActivateDevice(t.Context(), code, request); !errors.Is(err, portal.ErrEnrolmentCode) {
			t.Errorf("after a day: got %v", err)
		}

		// Nor where the code was taken back, or the device revoked.
		for name, end := range map[string]func(portal.Enrolment, portal.DeviceCertificate) error{
			"code": func(e portal.Enrolment, _ portal.DeviceCertificate) error {
				return p.RevokeEnrolmentCode(t.Context(), e.ID)
			},
			"device": func(_ portal.Enrolment, d portal.DeviceCertificate) error {
				_, err := p.RevokeDevice(t.Context(), d.Device)
				return err
			},
		} {
			e, code, err := p.CreateEnrolmentCode(t.Context(), -1, 0)
			if err != nil {
				t.Fatal(err)
			}
			d, err := p.ActivateDevice(t.Context(), code, request)
			if err != nil {
				t.Fatal(err)
			}
			if err := end(e, d); err != nil {
				t.Fatal(err)
			}
			if _, err := p.ActivateDevice(t.Context(), code, request); !errors.Is(err, portal.ErrEnrolmentCode) {
				t.Errorf("%s revoked: got %v", name, err)
			}
		}
	})
}

func TestRenewDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		_, code, err := p.CreateEnrolmentCode(t.Context(), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		d, err := p.ActivateDevice(t.Context(), code, csr(t))
		if err != nil {
			t.Fatal(err)
		}
		old := parsed(t, d)
		time.Sleep(60 * 24 * time.Hour)
		request := csr(t)
		next, err := p.RenewDevice(t.Context(), old, request)
		if err != nil {
			t.Fatal(err)
		}
		if next.Device != d.Device || next.Serial == d.Serial || len(next.ChainPEM) == 0 {
			t.Errorf("got device %s, certificate %s; want %s and another one", next.Device, next.Serial, d.Device)
		}
		if same, err := p.RenewDevice(t.Context(), old, request); err != nil || same.Serial != next.Serial || !bytes.Equal(same.ChainPEM, next.ChainPEM) {
			t.Errorf("the same again: got %s and %v, want %s", same.Serial, err, next.Serial)
		}
		_, err = p.RenewDevice(t.Context(), old, []byte("no request"))
		wantRefusal(t, err)
		for _, cert := range []*x509.Certificate{old, parsed(t, next)} {
			if id, err := p.AdmitDevice(cert); id != d.Device || err != nil {
				t.Errorf("%s: got %s and %v, want it admitted", portal.Serial(cert), id, err)
			}
		}
		time.Sleep(31 * 24 * time.Hour)
		if _, err := p.AdmitDevice(old); !errors.Is(err, portal.ErrDeviceExpired) {
			t.Errorf("expired: got %v, want %v", err, portal.ErrDeviceExpired)
		}
		if _, err := p.RenewDevice(t.Context(), old, csr(t)); !errors.Is(err, portal.ErrDeviceExpired) {
			t.Errorf("renewal of one that expired: got %v", err)
		}
		if id, err := p.FormerDevice(old); id != d.Device || err != nil {
			t.Errorf("former: got %s and %v", id, err)
		}
		// One device can not have any number of certificates.
		var all []*x509.Certificate
		cert := parsed(t, next)
		for range 8 {
			next, err := p.RenewDevice(t.Context(), cert, csr(t))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, parsed(t, next))
		}
		_, err = p.RenewDevice(t.Context(), cert, csr(t))
		if refused, ok := errors.AsType[*portal.Refusal](err); !ok || refused.Code != portal.CodeTooMany {
			t.Errorf("one too many: got %v, want %s", err, portal.CodeTooMany)
		}
		// A revocation ends all, also on the list.
		if _, err := p.RevokeDevice(t.Context(), d.Device); err != nil {
			t.Fatal(err)
		}
		for i, cert := range all {
			if _, err := p.AdmitDevice(cert); err == nil {
				t.Errorf("certificate %d of a revoked device: got it admitted", i)
			}
		}
		der, err := p.CRL(t.Context(), credential.ForDevices)
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil || len(list.RevokedCertificateEntries) != len(all)+1 {
			t.Errorf("revocation list: got %d entries and %v, want %d", len(list.RevokedCertificateEntries), err, len(all)+1)
		}
	})
}
