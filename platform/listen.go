package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// ListenError says that a part cannot listen where it should.
type ListenError struct {
	Part    string
	Address string
	Err     error
}

// Error names the part, the address and the reason.
func (e *ListenError) Error() string {
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return fmt.Sprintf("%s: %s is in use", e.Part, e.Address)
	case errors.Is(e.Err, syscall.EACCES):
		return fmt.Sprintf("%s: %s is not for everybody to listen on", e.Part, e.Address)
	}
	return fmt.Sprintf("%s: %v", e.Part, e.Err)
}

// Unwrap returns the reason.
func (e *ListenError) Unwrap() error { return e.Err }

// ErrNotLoopback says that what has no TLS would be open to others.
var ErrNotLoopback = errors.New("it has no TLS, and must listen on a loopback address")

// Listen has a part listen on a TCP address. The error is a *ListenError.
func Listen(ctx context.Context, part, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, &ListenError{part, address, err}
	}
	return l, nil
}

// ListenLoopback is Listen for a part that nobody on other machines may reach. The
// error may be a *ListenError around ErrNotLoopback.
func ListenLoopback(ctx context.Context, part, address string) (net.Listener, error) {
	l, err := Listen(ctx, part, address)
	if err != nil {
		return nil, err
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return nil, errors.Join(&ListenError{part, address, ErrNotLoopback}, l.Close())
	}
	return l, nil
}
