package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/gob"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/store/sqlite"
)

// prepareSetup says what a service is to know when it starts.
type prepareSetup struct {
	Dir           string
	Devices, Away int
}

// Files in the folder of a service.
const (
	databaseFile = "herald.db"
	devicesFile  = "devices.gob"
	serverFile   = "server.pem" // a certificate of the kind that a service has, with its key
	spoolFolder  = "spool"
)

// identities are what the devices prove themselves by. Each has a key of its own:
// by that the portal knows a device that comes again.
type identities struct {
	Keys         [][]byte // PKCS #8, one a device
	Certificates [][]byte // DER, the same
	Issuer       []byte   // DER
}

// preparers is how many devices are activated at once, so that the database
// commits many together.
const preparers = 128

// prepare makes the data folder of a service, with all its devices activated,
// and returns what a sender has. It is a process of its own so that none of its
// memory is taken for the service's.
func prepare(ctx context.Context, setup prepareSetup) (t target, err error) {
	db, err := sqlite.Open(ctx, filepath.Join(setup.Dir, databaseFile))
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	world, err := platform.Open(ctx, platform.Config{
		PortalStore: db.Portal(), RegistryStore: db.Registry(), SpoolStore: memory.NewSpool(1), Logger: warnings(),
	})
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	if err := t.develop(ctx, world); err != nil {
		return t, err
	}
	t.Roots, t.ServerName = world.Portal.RootPEM(), world.ServerName()
	server, err := world.Portal.ServerCertificate([]string{peerName}, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		return t, err
	}
	if err := writeIdentity(filepath.Join(setup.Dir, serverFile), server); err != nil {
		return t, err
	}
	ids, devices, err := activate(ctx, world, setup.Devices)
	if err != nil {
		return t, err
	}
	if err := ids.save(filepath.Join(setup.Dir, devicesFile)); err != nil {
		return t, err
	}
	if t.Tokens, err = enterDevices(ctx, world, len(devices), func(i int) apns.DeviceID { return devices[i] }); err != nil {
		return t, err
	}
	t.Away, err = enterDevices(ctx, world, setup.Away, func(i int) apns.DeviceID {
		return apns.DeviceID(fmt.Sprintf("away-%d", i))
	})
	return t, err
}

// activate activates devices, and returns their identities and names.
func activate(ctx context.Context, world *platform.Platform, count int) (ids identities, names []apns.DeviceID, err error) {
	_, code, err := world.Portal.CreateEnrolmentCode(ctx, -1, 0)
	if err != nil {
		return ids, nil, err
	}
	ids = identities{Keys: make([][]byte, count), Certificates: make([][]byte, count), Issuer: world.Portal.DeviceIssuer().Raw}
	names = make([]apns.DeviceID, count)
	err = each(count, func(i int) error {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		if ids.Keys[i], err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return err
		}
		csr, err := credential.NewRequest(key, credential.RequestSubject{CommonName: "bench"})
		if err != nil {
			return err
		}
		issued, err := world.Portal.ActivateDevice(ctx, code, csr)
		ids.Certificates[i], names[i] = issued.DER, issued.Device
		return err
	})
	return ids, names, err
}

// enterDevices enters devices into the registry, and returns their device tokens
// for the app in hex.
func enterDevices(ctx context.Context, world *platform.Platform, count int, name func(int) apns.DeviceID) ([]string, error) {
	tokens := make([]string, count)
	err := each(count, func(i int) error {
		d, err := world.Registry.EnterDevice(ctx, name(i))
		if err != nil {
			return err
		}
		t, err := world.Registry.DeviceToken(ctx, apns.Address{Device: d, Environment: environment, Topic: topic.Hash()})
		tokens[i] = t.Hex()
		return err
	})
	return tokens, err
}

// each calls f for all numbers below count, several at once, until one fails.
func each(count int, f func(int) error) error {
	var next atomic.Int64
	var working sync.WaitGroup
	errs := make([]error, min(preparers, count))
	for w := range errs {
		working.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1) - 1)
				if i >= count {
					return
				}
				errs[w] = f(i)
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}

func (ids *identities) save(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(gob.NewEncoder(f).Encode(ids), f.Close())
}

func loadIdentities(path string) (ids identities, err error) {
	f, err := os.Open(path)
	if err != nil {
		return ids, err
	}
	err = gob.NewDecoder(f).Decode(&ids)
	return ids, errors.Join(err, f.Close())
}

// writeIdentity writes a certificate, its chain and its key, in PEM.
func writeIdentity(path string, c tls.Certificate) error {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	for _, der := range c.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return os.WriteFile(path, text, 0o600)
}
