package dev

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/trace"
)

// valuesFile is where Values are.
const valuesFile = "dev.json"

// home is the folder of a run.
type home struct {
	*folder.Folder
	kept      bool   // of an earlier run
	temporary string // its path, if it is to be removed at the end
	state     state
}

// state is what the folder keeps from one run to the next.
type state struct {
	// EnrolmentCode activates any number of devices.
	EnrolmentCode string `json:"enrolment_code,omitempty"`
	// PKCS12Password opens the .p12 file.
	PKCS12Password string `json:"pkcs12_password,omitempty"`
	// IdleDevice is the device that never connects.
	IdleDevice apns.DeviceID `json:"idle_device,omitempty"`
}

// openHome makes or opens the folder of a run. One that is new becomes a
// platform's by Finish.
func openHome(ctx context.Context, dir string) (_ *home, err error) {
	h := &home{}
	if dir == "" {
		if h.temporary, err = os.MkdirTemp("", "herald-dev-"); err != nil {
			return nil, err
		}
		dir = h.temporary
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	h.Folder, err = folder.Open(ctx, dir, folder.MadeByDev)
	if errors.Is(err, fs.ErrNotExist) {
		if h.Folder, err = folder.Create(ctx, dir, folder.MadeByDev); err != nil {
			return nil, err
		}
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	h.kept = true
	if err := h.Kept(&h.state); err != nil {
		return nil, err
	}
	if err := h.removeValues(); err != nil {
		return nil, err
	}
	return h, nil
}

// close gives the folder free, and removes it if it was temporary.
func (h *home) close() (err error) {
	if h.Folder != nil {
		err = h.Close()
	}
	if h.temporary != "" {
		err = errors.Join(err, os.RemoveAll(h.temporary))
	}
	return err
}

// traceConfig returns how what happened is kept: in the folder, if that stays.
func (h *home) traceConfig(c trace.Config) trace.Config {
	c.Dir = ""
	if h.temporary == "" {
		c.Dir = h.Path(folder.TraceDir)
	}
	return c
}

// keep keeps the state.
func (h *home) keep() error { return h.Keep(h.state) }

// idleDevice returns the device token of a device that was activated and never
// connects.
func (h *home) idleDevice(ctx context.Context, p *platform.Platform) (apns.DeviceToken, error) {
	if h.state.IdleDevice == "" {
		id, err := activateIdle(ctx, p, h.state.EnrolmentCode)
		if err != nil {
			return "", err
		}
		h.state.IdleDevice = id
		if err := h.keep(); err != nil {
			return "", err
		}
	}
	ordinal, err := p.Registry.EnterDevice(ctx, h.state.IdleDevice)
	if err != nil {
		return "", err
	}
	return p.Registry.DeviceToken(ctx, apns.Address{Device: ordinal, Environment: apns.Sandbox, Topic: Topic.Hash()})
}

// activateIdle activates a device and throws its key away, so that it can
// never connect.
func activateIdle(ctx context.Context, p *platform.Platform, code string) (apns.DeviceID, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	csr, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "idle device"})
	if err != nil {
		return "", err
	}
	issued, err := p.Portal.ActivateDevice(ctx, code, csr)
	return issued.Device, err
}
