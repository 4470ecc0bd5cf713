package envelope

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// A key file is one line: what it is, the ID of the key, and the key in hex.
const keyFileTitle = "herald-master-key-1"

// maxKeyFile bounds what is read of a key file, in bytes.
const maxKeyFile = 1 << 10

// KeyFileError says why a key file is not used.
type KeyFileError struct {
	Path   string
	Reason string
}

// Error names the file and the reason.
func (e *KeyFileError) Error() string { return "master key " + e.Path + ": " + e.Reason }

// CreateKeyFile makes a master key and writes it to a file that does not exist
// yet, for its owner alone. It returns when the file is durable. The error is
// fs.ErrExist if there is one.
func CreateKeyFile(path string) (_ Key, err error) {
	k, err := NewKey()
	if err != nil {
		return Key{}, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Key{}, fmt.Errorf("making master key: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s %v %s\n", keyFileTitle, k.ID(), hex.EncodeToString(k.secret()))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return Key{}, errors.Join(fmt.Errorf("making master key: %w", err), os.Remove(path))
	}
	return k, nil
}

// syncFolder makes durable that a file is in a folder. Windows has no such
// call: there it is durable with the file.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// LoadKeyFile reads a master key from a file. It returns a *KeyFileError for a
// file that others than its owner may read, and for one that holds no whole
// key.
func LoadKeyFile(path string) (Key, error) { return load(path, 0o077) }

// LoadCredential reads a master key from a file that a service manager put
// into a folder for this process alone. It differs from LoadKeyFile in that the
// group may read it: systemd gives access to its credentials by a list, which
// shows as the group's.
func LoadCredential(path string) (Key, error) { return load(path, 0o007) }

// load reads a key file that has none of the bits of a mode.
func load(path string, forbidden fs.FileMode) (Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return Key{}, fmt.Errorf("master key: %w", err)
	}
	k, err := read(f, forbidden)
	return k, errors.Join(err, f.Close())
}

func read(f *os.File, forbidden fs.FileMode) (Key, error) {
	refuse := func(reason string) (Key, error) { return Key{}, &KeyFileError{f.Name(), reason} }
	info, err := f.Stat()
	switch {
	case err != nil:
		return Key{}, fmt.Errorf("master key: %w", err)
	case !info.Mode().IsRegular():
		return refuse("it is not a file")
	// Windows tells no such modes.
	case info.Mode()&forbidden != 0 && runtime.GOOS != "windows":
		return refuse(fmt.Sprintf("others can read it (mode %04o): a key that others may have read is to be replaced, "+
			"or chmod 600 it if none did", info.Mode().Perm()))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return Key{}, fmt.Errorf("master key: %w", err)
	}
	defer clear(text)
	if len(bytes.TrimSpace(text)) == 0 {
		return refuse("it is empty")
	}
	words := bytes.Fields(text)
	if len(text) > maxKeyFile || len(words) != 3 || !strings.HasPrefix(string(words[0]), keyFileTitle[:len(keyFileTitle)-1]) {
		return refuse("it holds no master key of herald")
	}
	if string(words[0]) != keyFileTitle {
		return refuse("it is of another version of herald")
	}
	secret := make([]byte, hex.DecodedLen(len(words[2])))
	defer clear(secret)
	if _, err := hex.Decode(secret, words[2]); err != nil {
		return refuse("it is damaged")
	}
	k, err := ParseKey(secret)
	if err != nil || k.ID().String() != string(words[1]) {
		return refuse("it is damaged")
	}
	return k, nil
}
