package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/platform"
)

// Addresses are where the parts listen, "host:port" each; an empty host stands
// for all interfaces, and an empty address leaves a part out.
type Addresses struct {
	Gateway  map[apns.Environment]string
	Channels map[apns.Environment]string
	Legacy   map[apns.Environment]string
	Feedback map[apns.Environment]string
	Courier  string
	// API must be of a loopback interface: it has no TLS. Required.
	API string
}

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

// errNotLoopback says that the API would be open to others.
var errNotLoopback = errors.New("it has no TLS, and must listen on a loopback address")

// listeners are what a run listens on.
type listeners struct {
	platform platform.Listeners
	api      net.Listener
	served   bool // they belong to those who serve on them
}

// listen opens all listeners, or none.
func listen(ctx context.Context, at Addresses) (_ *listeners, err error) {
	ls := &listeners{}
	defer func() {
		if err != nil {
			err = errors.Join(err, ls.close())
		}
	}()
	open := func(part, address string) (net.Listener, error) {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, &ListenError{part, address, err}
		}
		return l, nil
	}
	for _, of := range []struct {
		part string
		at   map[apns.Environment]string
		set  *map[apns.Environment]net.Listener
	}{
		{"gateway", at.Gateway, &ls.platform.Gateway},
		{"channels", at.Channels, &ls.platform.Channels},
		{"legacy interface", at.Legacy, &ls.platform.Legacy},
		{"feedback", at.Feedback, &ls.platform.Feedback},
	} {
		*of.set = map[apns.Environment]net.Listener{}
		for _, env := range apns.Environments {
			if of.at[env] == "" {
				continue
			}
			if (*of.set)[env], err = open(env.String()+" "+of.part, of.at[env]); err != nil {
				delete(*of.set, env)
				return nil, err
			}
		}
	}
	if at.Courier != "" {
		if ls.platform.Courier, err = open("courier", at.Courier); err != nil {
			ls.platform.Courier = nil
			return nil, err
		}
	}
	if ls.api, err = open("API", at.API); err != nil {
		ls.api = nil
		return nil, err
	}
	if a, ok := ls.api.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return nil, &ListenError{"API", at.API, errNotLoopback}
	}
	return ls, nil
}

// close closes what nobody came to serve on.
func (ls *listeners) close() error {
	if ls.served {
		return nil
	}
	err := ls.platform.Close()
	if ls.api != nil {
		err = errors.Join(err, ls.api.Close())
	}
	return err
}
