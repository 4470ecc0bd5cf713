package serve

import (
	"context"
	"errors"
	"net"

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
			if (*of.set)[env], err = platform.Listen(ctx, env.String()+" "+of.part, of.at[env]); err != nil {
				delete(*of.set, env)
				return nil, err
			}
		}
	}
	if at.Courier != "" {
		if ls.platform.Courier, err = platform.Listen(ctx, "courier", at.Courier); err != nil {
			ls.platform.Courier = nil
			return nil, err
		}
	}
	if ls.api, err = platform.ListenLoopback(ctx, "API", at.API); err != nil {
		ls.api = nil
		return nil, err
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
