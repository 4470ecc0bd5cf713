package account_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/internal/envelope"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
	"github.com/heraldpush/herald/store/memory"
)

const (
	shop     account.AppID = "shop"
	bundleID apns.Topic    = "com.example.shop"
	team     apns.TeamID   = "ABCDE12345"
)

// shelf is a book under test, with its store.
type shelf struct {
	*account.Book
	cfg account.Config
}

// newShelf returns a book with one app. What is not given of the config is in
// memory.
func newShelf(t *testing.T, cfg account.Config) *shelf {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = memory.NewAccount()
	}
	s := &shelf{cfg: cfg}
	s.reopen(t)
	if _, err := s.CreateApp(t.Context(), account.AppSpec{ID: shop, BundleID: bundleID, Name: "Shop"}); err != nil {
		t.Fatal(err)
	}
	return s
}

// reopen opens the book over the same store.
func (s *shelf) reopen(t *testing.T) {
	t.Helper()
	var err error
	if s.Book, err = account.Open(t.Context(), s.cfg); err != nil {
		t.Fatal(err)
	}
}

// actions lists the audit log: who, what and to what.
func (s *shelf) actions(t *testing.T) (all []string) {
	t.Helper()
	log, err := s.Audit(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log {
		all = append(all, e.Actor+" "+e.Action)
	}
	return all
}

// newSealer returns a Sealer with a key of its own.
func newSealer(t *testing.T) *envelope.Sealer {
	t.Helper()
	key, err := envelope.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := envelope.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// authority issues the certificates of the tests.
var authority = sync.OnceValues(func() (credential.Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return credential.Authority{}, err
	}
	cert, err := credential.NewRoot("Test Root", key, credential.Validity{NotBefore: start, NotAfter: start.AddDate(60, 0, 0)})
	return credential.Authority{Certificate: cert, Key: key}, err
})

// start is before all else.
var start = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)

// certificate issues a push certificate that is good until a time.
func certificate(t *testing.T, kind credential.PushKind, id apns.Topic, until time.Time) credential.Identity {
	t.Helper()
	by, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	cert, err := by.IssuePush(credential.PushProfile{Kind: kind, BundleID: id, TeamID: team, Organization: "Example"},
		key.Public(), credential.Validity{NotBefore: start, NotAfter: until})
	if err != nil {
		t.Fatal(err)
	}
	return credential.Identity{Certificate: cert, Key: key}
}

func pemOf(t *testing.T, id credential.Identity) []byte {
	t.Helper()
	b, err := id.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func p8(t *testing.T) []byte {
	t.Helper()
	b, err := credential.MarshalP8(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keyUpload is the upload of a new key.
func keyUpload(t *testing.T) account.Upload {
	t.Helper()
	return account.Upload{File: p8(t), FileName: "AuthKey_2X9R4HXF34.p8", TeamID: team}
}

func (s *shelf) upload(t *testing.T, u account.Upload) account.Credential {
	t.Helper()
	c, err := s.Upload(t.Context(), shop, u)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// gateway is a Checker that answers the same to all in an environment.
type gateway map[apns.Environment]error

func (g gateway) Check(_ context.Context, p account.Probe) error {
	if _, ok := p.Material.Key(); ok == (p.Material.Credential().Kind != account.ProviderKey) {
		return errors.New("the material is not what it says")
	}
	return g[p.Environment]
}

// rejected is how a Checker says a reason.
func rejected(r apns.Reason) error { return fmt.Errorf("push: %w", apns.Reject(r, "")) }

// faults lists what is wrong: "pointer code" each.
func faults(err error) string {
	invalid, ok := errors.AsType[*audience.InvalidError](err)
	if !ok {
		return fmt.Sprint(err)
	}
	var all []string
	for _, f := range invalid.Faults {
		all = append(all, f.Pointer+" "+string(f.Code))
	}
	return strings.Join(all, ", ")
}
