package dev

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/platform"
)

// format is the version of a folder's content. A folder of another one is
// refused, not overwritten.
const format = 1

// The files that say whose folder it is.
const (
	markFile   = "herald.json"
	lockFile   = "lock"
	valuesFile = "dev.json"
	runFile    = "run.json"
)

// folder is the folder of a run, locked by it.
type folder struct {
	dir       string
	kept      bool // of an earlier run
	temporary bool // to be removed at the end
	lock      *os.File
	state     state
}

// state is what herald.json keeps from one run to the next.
type state struct {
	// Format is the version of the folder.
	Format int `json:"format"`
	// Made says by what, for those who find the folder.
	Made string `json:"made_by"`
	// EnrolmentCode activates any number of devices.
	EnrolmentCode string `json:"enrolment_code,omitempty"`
	// PKCS12Password opens the .p12 file.
	PKCS12Password string `json:"pkcs12_password,omitempty"`
	// IdleDevice is the device that never connects.
	IdleDevice apns.DeviceID `json:"idle_device,omitempty"`
}

const madeBy = "herald dev"

// FolderError says why a folder cannot be used.
type FolderError struct {
	Dir    string
	Reason string
}

// Error names the folder and the reason.
func (e *FolderError) Error() string { return e.Dir + ": " + e.Reason }

// openFolder makes or opens the folder of a run and locks it.
func openFolder(dir string) (_ *folder, err error) {
	f := &folder{}
	if dir == "" {
		if f.dir, err = os.MkdirTemp("", "herald-dev-"); err != nil {
			return nil, err
		}
		f.temporary = true
	} else if f.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder: %w", err)
	}
	// Whose is it? A folder that is not ours is left as it was.
	mark, err := os.ReadFile(f.path(markFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := f.mustBeEmpty(); err != nil {
			return nil, err
		}
		f.state = state{Format: format, Made: madeBy}
	case err != nil:
		return nil, fmt.Errorf("folder: %w", err)
	default:
		f.kept = true
		if err := json.Unmarshal(mark, &f.state); err != nil || f.state.Made != madeBy {
			return nil, &FolderError{f.dir, markFile + " there is not one of herald dev"}
		}
		if f.state.Format != format {
			return nil, &FolderError{f.dir, fmt.Sprintf("it is of another version of herald (format %d, this one has %d)", f.state.Format, format)}
		}
	}
	if f.lock, err = lock(f.path(lockFile)); err != nil {
		return nil, &FolderError{f.dir, "another herald runs on it"}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if err := f.saveState(); err != nil {
		return nil, err
	}
	return f, f.removeRunning()
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) mustBeEmpty() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() != lockFile { // of a run that just begins
			return &FolderError{f.dir, "it holds other files (" + e.Name() + "), and is not one of herald dev"}
		}
	}
	return nil
}

// close gives the folder free, and removes it if it was temporary.
func (f *folder) close() error {
	err := f.lock.Close()
	if f.temporary {
		err = errors.Join(err, os.RemoveAll(f.dir))
	}
	return err
}

func (f *folder) saveState() error {
	b, err := json.MarshalIndent(f.state, "", "\t")
	if err != nil {
		return err
	}
	return f.write(markFile, append(b, '\n'), 0o600)
}

// write replaces a file as a whole.
func (f *folder) write(name string, data []byte, mode fs.FileMode) (err error) {
	tmp, err := os.CreateTemp(f.dir, "."+name+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return os.Rename(tmp.Name(), f.path(name))
}

// idleDevice returns the device token of a device that was activated and never
// connects.
func (f *folder) idleDevice(ctx context.Context, p *platform.Platform) (apns.DeviceToken, error) {
	if f.state.IdleDevice == "" {
		id, err := activateIdle(ctx, p, f.state.EnrolmentCode)
		if err != nil {
			return "", err
		}
		f.state.IdleDevice = id
		if err := f.saveState(); err != nil {
			return "", err
		}
	}
	ordinal, err := p.Registry.EnterDevice(ctx, f.state.IdleDevice)
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
