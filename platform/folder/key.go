package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// credentialName is what the master key is called among the credentials that a
// service manager gives to a process.
const credentialName = "herald-master-key"

// credential returns the path of the master key that a service manager holds,
// or nothing.
func credential() (string, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", nil
	}
	path := filepath.Join(dir, credentialName)
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return "", fmt.Errorf("master key: %w", err)
	}
	return path, nil
}
