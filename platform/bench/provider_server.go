package bench

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/platform/provide"
)

// providerSetup says over what a push server runs.
type providerSetup struct {
	Dir     string     // its data folder
	Gateway PushTarget // but for the credential
}

// providerTarget is what a caller has to know of a push server.
type providerTarget struct {
	Address string
	Key     string // with which everything can be done
}

// runProvider is the push server: provider, API and stores over a data folder, as
// `herald provider serve` runs it, before a gateway that is given.
func (p *part) runProvider(ctx context.Context, setup providerSetup) error {
	platform.TuneSpeed()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(setup.Gateway.Roots) {
		return errors.New("no authority to trust")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		serving sync.WaitGroup
		failed  error
		ready   = make(chan provide.Running, 1)
		ended   = make(chan struct{})
	)
	serving.Go(func() {
		defer close(ended)
		failed = provide.Run(ctx, provide.Config{
			Dir: setup.Dir, Listen: "127.0.0.1:0", Logger: warnings(), Ready: func(r provide.Running) { ready <- r },
			Gateway: func(apns.Environment) apnsclient.Config {
				return apnsclient.Config{
					Host: setup.Gateway.Address, ServerName: setup.Gateway.ServerName, Roots: roots, Timeout: holdTimeout,
				}
			},
		})
	})
	select {
	case r := <-ready:
		err := p.answer(reply{Provider: &providerTarget{Address: r.URL, Key: r.AdminKey.Reveal()}}, nil)
		if err == nil {
			err = p.obey(nil)
		}
		cancel()
		serving.Wait()
		return errors.Join(err, failed)
	case <-ended:
		return p.answer(reply{}, failed)
	}
}
