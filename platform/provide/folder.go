package provide

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/provider/account"
)

// AdminKeyFile is the file in the folder with a key for everything, mode 0600.
const AdminKeyFile = "admin.key"

// adminKeyName is what that key is called.
const adminKeyName = "made by herald provider serve, in " + AdminKeyFile

// kept is what the folder keeps from one run to the next.
type kept struct {
	// AdminKey is the ID of the key in AdminKeyFile.
	AdminKey account.KeyID `json:"admin_key,omitempty"`
}

// openFolder opens the folder, or begins to make it.
func openFolder(ctx context.Context, dir string) (f *folder.Folder, isNew bool, err error) {
	f, err = folder.Open(ctx, dir, folder.MadeByProvider)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = folder.Create(ctx, dir, folder.MadeByProvider)
		return f, true, err
	}
	return f, false, err
}

// adminKey makes sure that there is a good key in AdminKeyFile. It returns one
// that it made.
func (s *service) adminKey(ctx context.Context, f *folder.Folder) (made account.APIKey, err error) {
	if good, err := s.hasAdminKey(ctx, f); err != nil || good {
		return made, err
	}
	key, made, err := s.book.CreateKey(ctx, account.KeySpec{Name: adminKeyName, Scopes: []account.Scope{account.ScopeAdmin}})
	if err != nil {
		return made, fmt.Errorf("first API key: %w", err)
	}
	var k kept
	if err := f.Kept(&k); err != nil {
		return made, err
	}
	if k.AdminKey != "" { // whoever has it now is not meant to
		if _, err := s.book.RevokeKey(ctx, k.AdminKey); err != nil && !errors.Is(err, account.ErrNotFound) {
			return made, fmt.Errorf("API key %s: %w", k.AdminKey, err)
		}
	}
	if err := f.Keep(kept{AdminKey: key.ID}); err != nil {
		return made, err
	}
	return made, f.Write(AdminKeyFile, []byte(made.Reveal()+"\n"), 0o600)
}

// hasAdminKey reports whether the key in AdminKeyFile is good.
func (s *service) hasAdminKey(ctx context.Context, f *folder.Folder) (bool, error) {
	text, err := ReadKey(f.Path(AdminKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, f.Explain(err)
	}
	_, err = s.book.Authenticate(ctx, text)
	if errors.Is(err, account.ErrKey) {
		return false, nil
	}
	return err == nil, err
}

// maxKeyFile bounds a file with a key, in bytes.
const maxKeyFile = 1 << 10

// ReadKey reads the file of an API key, such as AdminKeyFile. It does not look at
// what it reads.
func ReadKey(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return "", fmt.Errorf("%s is no file with an API key", path)
	}
	b, err := os.ReadFile(path)
	return string(bytes.TrimSpace(b)), err
}
