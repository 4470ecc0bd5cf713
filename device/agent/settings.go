package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/heraldpush/herald/apns"
)

// settingsFile is where Settings are, in the folder of a device.
const settingsFile = "agent.json"

// maxSettings bounds that file, in bytes.
const maxSettings = 1 << 20

// Settings are what a device is told once, at its first start. No secret is
// among them.
type Settings struct {
	// Courier is the address of the courier, "host:port".
	Courier string `json:"courier"`
	// ServerName is the name that the courier's certificate carries. Empty
	// stands for Apple's, by Environment.
	ServerName string `json:"server_name,omitempty"`
	// Environment is the push service that the device belongs to.
	Environment apns.Environment `json:"environment"`
	// Activation is the URL of the activation door.
	Activation string `json:"activation,omitempty"`
	// Roots are the authorities to trust, PEM. Empty stands for those of the
	// system.
	Roots string `json:"roots,omitempty"`
	// Socket is the path of the socket. Empty stands for SocketName in the
	// folder.
	Socket string `json:"socket,omitempty"`
}

// ReadSettings returns the settings that a folder holds. The error wraps
// fs.ErrNotExist if there are none.
func ReadSettings(dir string) (s Settings, err error) {
	path := filepath.Join(dir, settingsFile)
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	switch {
	case err != nil:
		return s, err
	case len(b) > maxSettings:
		return s, fmt.Errorf("%s: more than %d bytes", path, maxSettings)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: damaged: %w", path, err)
	}
	return s, nil
}

// write keeps s in a folder.
func (s Settings) write(dir string) error {
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return fmt.Errorf("writing %s: %w", settingsFile, err)
	}
	return replace(filepath.Join(dir, settingsFile), append(b, '\n'))
}

// replace replaces a file, as a whole, and has what it holds on the disk before.
func replace(path string, data []byte) error {
	return replaceBy(path, data, (*os.File).Sync)
}

// replaceBy is replace with another way to finish the new file.
func replaceBy(path string, data []byte, finish func(*os.File) error) error {
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = finish(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(part, path)
}
