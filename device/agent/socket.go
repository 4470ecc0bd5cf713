package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"
)

// maxSocketPath is how long the path of a socket may be, in bytes: what every
// system has room for.
const maxSocketPath = 103

// SocketError says why there can be no socket at a path.
type SocketError struct {
	Path   string
	Reason string
}

// Error names the path and the reason.
func (e *SocketError) Error() string { return fmt.Sprintf("socket %s: %s", e.Path, e.Reason) }

// listen opens the socket, which its owner alone may use, in place of one that
// a process left behind.
func listen(ctx context.Context, path string) (*net.UnixListener, error) {
	if len(path) > maxSocketPath {
		return nil, &SocketError{path, fmt.Sprintf("the path has %d bytes, and a socket's may have %d", len(path), maxSocketPath)}
	}
	if err := clearPath(ctx, path); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{Control: privateSocket}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, &SocketError{path, reasonOf(err)}
	}
	// Where it could not be made private before it had its name.
	if err := os.Chmod(path, fileMode); err != nil {
		return nil, errors.Join(&SocketError{path, reasonOf(err)}, l.Close())
	}
	return l.(*net.UnixListener), nil //nolint:errcheck // the type of "unix"
}

// clearPath removes a socket that nobody answers at.
func clearPath(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &SocketError{path, reasonOf(err)}
	case !isSocket(info):
		return &SocketError{path, "there is something else with this name"}
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(&SocketError{path, "another process answers there"}, conn.Close())
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &SocketError{path, reasonOf(err)}
	}
	return nil
}

// reasonOf returns an error without the path, which is named already.
func reasonOf(err error) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err.Error()
	}
	if o := (*net.OpError)(nil); errors.As(err, &o) {
		return o.Err.Error()
	}
	return err.Error()
}
