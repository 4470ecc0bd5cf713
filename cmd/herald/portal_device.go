package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/portal"
)

// portalDeviceCmd is about devices.
type portalDeviceCmd struct {
	Enrol    portalDeviceEnrolCmd    `cmd:"" help:"Make an enrolment code, by which devices get their certificates."`
	Codes    portalDeviceCodesCmd    `cmd:"" help:"List the enrolment codes that may still be used, by ID."`
	Withdraw portalDeviceWithdrawCmd `cmd:"" help:"Take back an enrolment code."`
	Sign     portalDeviceSignCmd     `cmd:"" help:"Activate a device by hand: sign its certificate signing request."`
	List     portalDeviceListCmd     `cmd:"" help:"List the devices."`
	Revoke   portalDeviceRevokeCmd   `cmd:"" help:"Revoke the certificate of a device, now and for good."`
}

// portalDeviceEnrolCmd makes an enrolment code.
type portalDeviceEnrolCmd struct {
	Uses deviceUses    `default:"1" placeholder:"N" help:"How many devices it activates, or any. Default: ${default}."`
	For  time.Duration `default:"24h" help:"How long it is good; 0 is until it is withdrawn. Default: ${default}."`
	portalAt
}

// deviceUses is a flag that takes a number of devices, or "any".
type deviceUses int

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *deviceUses) UnmarshalText(text []byte) error {
	if string(text) == "any" {
		*u = -1
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil {
		return fmt.Errorf("%q is not a number of devices, or any", text)
	}
	*u = deviceUses(n)
	return nil
}

// Run implements the verb.
func (c portalDeviceEnrolCmd) Run(ctx context.Context, s streams) error {
	if c.For != 0 && c.For < time.Second {
		return usageError("--for %v is less than a second", c.For)
	}
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		made, err := admin.CreateEnrolment.Call(ctx, at, admin.EnrolmentRequest{Uses: int(c.Uses), ValidSeconds: int64(c.For / time.Second)})
		if err != nil {
			return err
		}
		return c.print(s, made, func(w io.Writer) error {
			// The code stands alone on the first line, to be copied.
			_, err := fmt.Fprintf(w, "%s\nIt activates %s, %s. It is not shown again; its ID is %s.\n",
				made.Code, usesOf(made.Enrolment), untilOf(made.Enrolment), made.Enrolment.ID)
			return err
		})
	})
}

// usesOf says how many devices a code activates.
func usesOf(e portal.Enrolment) string {
	if e.Uses < 0 {
		return "any number of devices"
	}
	return count(e.Uses, "device", "devices")
}

// untilOf says how long a code is good.
func untilOf(e portal.Enrolment) string {
	if e.Expires.IsZero() {
		return "until it is withdrawn"
	}
	return "until " + minute(e.Expires)
}

// portalDeviceCodesCmd lists enrolment codes.
type portalDeviceCodesCmd struct{ portalAt }

// Run implements the verb.
func (c portalDeviceCodesCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		codes, err := admin.All(ctx, at, admin.ListEnrolments, "")
		if err != nil {
			return err
		}
		return c.print(s, codes, func(w io.Writer) error {
			if len(codes) == 0 {
				_, err := fmt.Fprintln(w, "No enrolment codes. herald portal device enrol makes one.")
				return err
			}
			rows := [][]string{{"ID", "ACTIVATES", "MADE", "GOOD"}}
			for _, e := range codes {
				rows = append(rows, []string{e.ID, usesOf(e), minute(e.Created), untilOf(e)})
			}
			return table(w, rows...)
		})
	})
}

// portalDeviceWithdrawCmd takes back an enrolment code.
type portalDeviceWithdrawCmd struct {
	ID string `arg:"" name:"id" help:"The ID of the code, not the code."`
	portalAt
}

// Run implements the verb.
func (c portalDeviceWithdrawCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		e, err := admin.RevokeEnrolment.Call(ctx, at, admin.EnrolmentID{ID: c.ID})
		if err != nil {
			return err
		}
		return c.print(s, e, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Enrolment code %s is withdrawn. Devices that it activated stay so.\n", e.ID)
			return err
		})
	})
}

// portalDeviceSignCmd activates a device.
type portalDeviceSignCmd struct {
	CSR      string `name:"csr" required:"" placeholder:"FILE" help:"The device's certificate signing request, PEM or DER; - is standard input."`
	CodeFile string `required:"" placeholder:"FILE" help:"File with an enrolment code; - is standard input."`
	Out      string `placeholder:"FILE" default:"device.pem" help:"Where to write the certificate and its issuer's, PEM. Default: ${default}."`
	portalAt
}

// signedDevice is what the verb prints as JSON.
type signedDevice struct {
	portal.DeviceCertificate
	File string `json:"file"`
}

// Run implements the verb.
func (c portalDeviceSignCmd) Run(ctx context.Context, s streams) error {
	if c.CSR == "-" && c.CodeFile == "-" {
		return usageError("--csr and --code-file cannot both be standard input")
	}
	csr, err := readRequest(c.CSR)
	if err != nil {
		return err
	}
	code, err := readSmallFile(c.CodeFile)
	if err != nil {
		return unreadable(err)
	}
	// What device enrol printed may be given as it is: the code is the first
	// word.
	words := strings.Fields(string(code))
	if len(words) == 0 {
		return unreadable(fmt.Errorf("%s holds no enrolment code", c.CodeFile))
	}
	return c.do(ctx, func(ctx context.Context, at admin.Target) (err error) {
		file, err := newFileAt(c.Out, public, false) // before the portal has done anything
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.discard()) }()
		made, err := admin.ActivateDevice.Call(ctx, at, admin.DeviceRequest{EnrolmentCode: words[0], CSR: csr})
		if err != nil {
			return err
		}
		if err := file.keepAll([]byte(made.ChainPEM)); err != nil {
			return withHint(err, "its certificate is lost: herald portal device revoke %s", made.Device.Device)
		}
		return c.print(s, signedDevice{made.Device, c.Out}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Device %s is activated; its certificate expires %s.\nWrote %s\n", made.Device.Device, expires(made.Device.NotAfter), plain(c.Out))
			return err
		})
	})
}

// portalDeviceListCmd lists devices.
type portalDeviceListCmd struct{ portalAt }

// Run implements the verb.
func (c portalDeviceListCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		devices, err := admin.All(ctx, at, admin.ListDevices, "")
		if err != nil {
			return err
		}
		return c.print(s, devices, func(w io.Writer) error {
			if len(devices) == 0 {
				_, err := fmt.Fprintln(w, "No devices. herald portal device enrol makes a code that activates one.")
				return err
			}
			rows := [][]string{{"DEVICE", "SERIAL", "ACTIVATED", "EXPIRES", "STATE"}}
			for _, d := range devices {
				state := "active"
				switch {
				case !d.Revoked.IsZero():
					state = "revoked " + day(d.Revoked)
				case time.Now().After(d.NotAfter):
					state = "expired"
				}
				rows = append(rows, []string{string(d.Device), d.Serial, day(d.Issued), day(d.NotAfter), state})
			}
			return table(w, rows...)
		})
	})
}

// portalDeviceRevokeCmd revokes a device's certificate.
type portalDeviceRevokeCmd struct {
	DeviceID string `arg:"" name:"deviceid" help:"Its ID, a UUID."`
	portalAt
}

// Run implements the verb.
func (c portalDeviceRevokeCmd) Run(ctx context.Context, s streams) error {
	return c.do(ctx, func(ctx context.Context, at admin.Target) error {
		d, err := admin.RevokeDevice.Call(ctx, at, admin.DeviceID{ID: apns.DeviceID(c.DeviceID)})
		if err != nil {
			return err
		}
		return c.print(s, d, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "Device %s is revoked since %s: it cannot connect, and its connection ends.\nNext, for couriers elsewhere: herald portal crl devices\n",
				d.Device, minute(d.Revoked))
			return err
		})
	})
}
