package account_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/store/memory"
)

var errDisk = errors.New("the disk is full")

// brittleStore fails some updates in the end.
type brittleStore struct {
	account.Store
	fails bool
}

func (s *brittleStore) Update(ctx context.Context, f func(account.Tx) error) error {
	return s.Store.Update(ctx, func(tx account.Tx) error {
		if err := f(tx); err != nil || !s.fails {
			return err
		}
		return errDisk
	})
}

// clerk does things to a book, and knows what it should have.
type clerk struct {
	*shelf
	t     *testing.T
	store *brittleStore
	files [][]byte // keys to upload
	now   time.Time

	credentials map[account.CredentialID]account.Credential
	keys        map[account.KeyID]string // the text of those that are good
	entries     int                      // at least, of the audit log
}

// TestRandom does anything to a book, over a store that fails at times, and
// compares it with what it should have, and with the book opened again.
func TestRandom(t *testing.T) {
	var files [][]byte
	for range 5 {
		files = append(files, p8(t))
	}
	files = append(files, pemOf(t, certificate(t, credential.PushUniversal, bundleID, time.Now().AddDate(0, 0, 20))))
	rapid.Check(t, func(rt *rapid.T) {
		store := &brittleStore{Store: memory.NewAccount()}
		c := &clerk{
			shelf: newShelf(t, account.Config{Store: store, AuditEntries: 1000}), t: t, store: store, files: files, now: time.Now(),
			credentials: make(map[account.CredentialID]account.Credential), keys: make(map[account.KeyID]string),
		}
		for _, do := range rapid.SliceOfN(rapid.SampledFrom([]func(*clerk, *rapid.T){
			(*clerk).upload, (*clerk).upload, (*clerk).answer, (*clerk).answer, (*clerk).answer, (*clerk).remove, (*clerk).makeKey, (*clerk).revoke, (*clerk).tell,
		}), 1, 20).Draw(rt, "operations") {
			c.store.fails = rapid.IntRange(0, 5).Draw(rt, "fails") == 0
			do(c, rt)
			c.store.fails = false
			c.compare(rt)
		}
		c.reopen(t)
		c.compare(rt)
	})
}

// done reports whether it was done, and fails if it was not and should have been.
func (c *clerk) done(rt *rapid.T, err error) bool {
	if err != nil && !errors.Is(err, errDisk) || errors.Is(err, errDisk) && !c.store.fails {
		rt.Fatal(err)
	}
	return err == nil
}

// pick returns one of the credentials, or one that is none.
func (c *clerk) pick(rt *rapid.T) account.CredentialID {
	ids := []account.CredentialID{"cred_never"}
	for _, k := range c.Credentials(shop) {
		ids = append(ids, k.ID)
	}
	return rapid.SampledFrom(ids[min(1, len(ids)-1):]).Draw(rt, "credential")
}

func (c *clerk) upload(rt *rapid.T) {
	n := rapid.IntRange(0, len(c.files)-1).Draw(rt, "file")
	u := account.Upload{File: c.files[n], FileName: fmt.Sprintf("AuthKey_AAAAAAAAA%d.p8", n), TeamID: team}
	if rapid.Bool().Draw(rt, "replaces") {
		u.Replaces = c.pick(rt)
	}
	old, known := c.credentials[u.Replaces]
	got, err := c.Upload(c.t.Context(), shop, u)
	switch what := faults(err); what {
	case "/file conflict":
		if !slices.ContainsFunc(c.Credentials(shop), func(k account.Credential) bool {
			return k.KeyID == "" && n == len(c.files)-1 || k.KeyID == apns.KeyID(fmt.Sprintf("AAAAAAAAA%d", n))
		}) {
			rt.Fatalf("file %d is not there: %v", n, err)
		}
		return
	case "/replaces unknown":
		if known || u.Replaces == "" {
			rt.Fatal(err)
		}
		return
	case "/replaces conflict": // a certificate for a key of all topics
		if !known || len(old.Topics) > 0 || n != len(c.files)-1 {
			rt.Fatal(err)
		}
		return
	}
	if c.done(rt, err) {
		c.credentials[got.ID] = got
		c.entries++
	}
}

func (c *clerk) answer(rt *rapid.T) {
	c.now = c.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "minutes")) * time.Minute)
	a := account.Answer{
		Environment: rapid.SampledFrom(both).Draw(rt, "environment"), Topic: bundleID, At: c.now,
		Err: rapid.SampledFrom([]error{nil, nil, rejected(apns.BadDeviceToken), rejected(apns.Forbidden), errDisk}).Draw(rt, "answer"),
	}
	id := c.pick(rt)
	before, known := c.credentials[id]
	if !c.done(rt, c.Answered(c.t.Context(), id, a)) || !known {
		return
	}
	after, changed := before.After(a)
	if !changed {
		return
	}
	if old, ok := c.credentials[after.Replaces]; after.Replaces != "" {
		if !ok {
			after.Replaces = ""
		} else if !slices.ContainsFunc(old.Environments, func(e apns.Environment) bool { return !after.Standing(e).Proven() }) {
			after.Replaces = ""
			delete(c.credentials, old.ID)
		}
	}
	c.credentials[id] = after
}

func (c *clerk) remove(rt *rapid.T) {
	id, force := c.pick(rt), rapid.Bool().Draw(rt, "force")
	k, known := c.credentials[id]
	needed := known && k.Needed(c.Credentials(shop), time.Now())
	err := c.DeleteCredential(c.t.Context(), shop, id, force)
	switch {
	case !known:
		if !errors.Is(err, account.ErrNotFound) {
			rt.Fatalf("got %v, want ErrNotFound", err)
		}
	case needed && !force:
		if faults(err) != " conflict" {
			rt.Fatalf("got %v, want a conflict", err)
		}
	case c.done(rt, err):
		delete(c.credentials, id)
		c.entries++
	}
}

func (c *clerk) makeKey(rt *rapid.T) {
	k, whole, err := c.CreateKey(c.t.Context(), account.KeySpec{Scopes: []account.Scope{"send"}})
	if c.done(rt, err) {
		c.keys[k.ID] = whole.Reveal()
		c.entries++
	}
}

func (c *clerk) revoke(rt *rapid.T) {
	for _, k := range c.Keys("", 100) {
		if _, good := c.keys[k.ID]; !good || !rapid.Bool().Draw(rt, "revoke") {
			continue
		}
		if _, err := c.RevokeKey(c.t.Context(), k.ID); c.done(rt, err) {
			delete(c.keys, k.ID)
			c.entries++
		}
	}
}

func (c *clerk) tell(rt *rapid.T) {
	due := c.Expiries(time.Now())
	if !c.done(rt, c.ToldExpiries(c.t.Context(), due)) {
		return
	}
	for _, e := range due {
		k := c.credentials[e.Credential]
		k.Told = 1 // of 30 days
		c.credentials[e.Credential] = k
	}
}

// compare compares what there is in memory with what should be, and with what is
// in the store.
func (c *clerk) compare(rt *rapid.T) {
	rt.Helper()
	stored, err := account.Open(c.t.Context(), c.cfg)
	if err != nil {
		rt.Fatal(err)
	}
	for name, book := range map[string]*account.Book{"book": c.Book, "store": stored} {
		got := make(map[account.CredentialID]account.Credential)
		for _, k := range book.Credentials(shop) {
			got[k.ID] = k
			if _, err := book.Material(c.t.Context(), shop, k.ID); err != nil {
				rt.Fatalf("%s: %v", name, err)
			}
		}
		if d := cmp.Diff(c.credentials, got); d != "" {
			rt.Fatalf("%s: credentials (-want +got):\n%s", name, d)
		}
		for _, k := range book.Keys("", 100) {
			if _, good := c.keys[k.ID]; good != k.Good(time.Now()) {
				rt.Fatalf("%s: got %+v, want good %v", name, k, good)
			}
		}
		for id, text := range c.keys {
			if k, err := book.Authenticate(c.t.Context(), text); err != nil || k.ID != id {
				rt.Fatalf("%s: %s: got %+v, %v", name, id, k, err)
			}
		}
	}
	c.compareRecords(rt)
}

// compareRecords proves that no secret outlives its credential, and that the audit
// log has no gaps.
func (c *clerk) compareRecords(rt *rapid.T) {
	rt.Helper()
	entries := 0
	err := c.store.View(c.t.Context(), func(tx account.Tx) error {
		err := tx.Each("secret", "", func(id string, _ []byte) error {
			_, err := tx.Get("credential", id)
			return err
		})
		return errors.Join(err, tx.Each("audit", "", func(_ string, body []byte) error {
			var e account.Entry
			if err := json.Unmarshal(body, &e); err != nil {
				return err
			}
			if entries++; e.Sequence != uint64(entries) {
				return fmt.Errorf("entry %d has the number %d", entries, e.Sequence)
			}
			return nil
		}))
	})
	if err != nil || entries < c.entries {
		rt.Fatalf("got %d entries, %v, want at least %d", entries, err, c.entries)
	}
}

// TestConcurrent has many do things at once, for the race detector, and proves that
// what is in memory and in the store went the same way.
func TestConcurrent(t *testing.T) {
	s := newShelf(t, account.Config{})
	c := s.upload(t, keyUpload(t))
	_, whole := s.newKey(t, account.KeySpec{Scopes: []account.Scope{"send"}})
	began := time.Now()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for m := range 10 {
				answer := account.Answer{Environment: both[m%2], Topic: bundleID, At: began.Add(time.Duration(n*m) * time.Hour)}
				if n%2 == 0 {
					answer.Err = rejected(apns.Forbidden)
				}
				err := errors.Join(
					s.Answered(t.Context(), c.ID, answer),
					second(s.Authenticate(t.Context(), whole.Reveal())),
					second(s.RenameApp(t.Context(), shop, fmt.Sprint(n, m))),
					second(s.Material(t.Context(), shop, c.ID)),
				)
				if err != nil || len(s.Credentials(shop)) != 1 || len(s.Keys("", 10)) != 1 {
					t.Error(err)
				}
				s.Expiries(began)
			}
		})
	}
	wg.Wait()
	apps, credentials, keys := s.Apps("", 10), s.Credentials(shop), s.Keys("", 10)
	s.reopen(t)
	if d := cmp.Diff([]any{apps, credentials, keys}, []any{s.Apps("", 10), s.Credentials(shop), s.Keys("", 10)}); d != "" {
		t.Errorf("opened again (-before +after):\n%s", d)
	}
}
