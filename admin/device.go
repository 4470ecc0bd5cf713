package admin

import (
	"context"
	"net/http"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
)

// DeviceRequest asks for a device certificate.
type DeviceRequest struct {
	EnrolmentCode string `json:"enrolment_code"`
	// CSR is the certificate signing request, PEM.
	CSR string `json:"certificate_signing_request"`
}

// DeviceID names a device.
type DeviceID struct {
	ID apns.DeviceID `json:"id"`
}

// NewDevice is a device that was just activated.
type NewDevice struct {
	Device portal.DeviceCertificate `json:"device"`
	// ChainPEM is its certificate and after it the one that issued it.
	ChainPEM string `json:"certificate_chain"`
}

// The operations on devices.
var (
	ListDevices = &Operation[Page, List[portal.DeviceCertificate]]{
		Row: Row{http.MethodGet, "/v1/portal/devices", "Lists the devices ever activated."},
		run: func(ctx context.Context, p *portal.Portal, in Page) (List[portal.DeviceCertificate], error) {
			all, err := p.Devices(ctx)
			return page(all, in, func(d portal.DeviceCertificate) string { return string(d.Device) }), err
		},
	}
	ActivateDevice = &Operation[DeviceRequest, NewDevice]{
		Row: Row{http.MethodPost, "/v1/portal/devices", "Signs the request of a new device that has an enrolment code."},
		run: func(ctx context.Context, p *portal.Portal, in DeviceRequest) (NewDevice, error) {
			d, err := p.ActivateDevice(ctx, in.EnrolmentCode, []byte(in.CSR))
			chain := string(d.ChainPEM)
			d.ChainPEM = nil
			return NewDevice{d, chain}, err
		},
	}
	RevokeDevice = &Operation[DeviceID, portal.DeviceCertificate]{
		Row: Row{http.MethodPost, "/v1/portal/devices/{id}/revoke", "Revokes the certificate of a device, now and for good."},
		run: func(ctx context.Context, p *portal.Portal, in DeviceID) (portal.DeviceCertificate, error) {
			return p.RevokeDevice(ctx, in.ID)
		},
	}
)
