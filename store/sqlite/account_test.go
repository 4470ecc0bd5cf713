package sqlite

import (
	"bytes"
	"os"
	"testing"

	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/internal/envelope"
	"github.com/heraldpush/herald/provider/account"
)

// TestAccountSealed proves that a private key and an API key are good after a crash,
// and that the files have neither in them.
func TestAccountSealed(t *testing.T) {
	master, err := envelope.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := envelope.New(master)
	if err != nil {
		t.Fatal(err)
	}
	key, err := credential.NewProviderKey()
	if err != nil {
		t.Fatal(err)
	}
	p8, err := credential.MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, newPath(t))
	begin := func() *account.Book {
		t.Helper()
		b, err := account.Open(t.Context(), account.Config{Store: d.Account(), Sealer: sealer})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := begin()
	if _, err := b.CreateApp(t.Context(), account.AppSpec{ID: "shop", BundleID: "com.example.shop"}); err != nil {
		t.Fatal(err)
	}
	c, err := b.Upload(t.Context(), "shop", account.Upload{File: p8, FileName: "AuthKey_2X9R4HXF34.p8", TeamID: "ABCDE12345"})
	if err != nil {
		t.Fatal(err)
	}
	k, whole, err := b.CreateKey(t.Context(), account.KeySpec{Scopes: []account.Scope{account.ScopeSend}})
	if err != nil {
		t.Fatal(err)
	}
	path := copyFiles(t, d.path)
	found := false
	for _, suffix := range []string{"", "-wal"} {
		file, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(file, []byte(c.ID)) && bytes.Contains(file, []byte(k.ID))
		for _, secret := range [][]byte{bytes.Split(p8, []byte("\n"))[1], []byte("PRIVATE KEY"), []byte(whole.Reveal()[len(k.ID):])} {
			if bytes.Contains(file, secret) {
				t.Errorf("herald.db%s has %q in it", suffix, secret)
			}
		}
	}
	if !found {
		t.Error("the files do not even have the IDs: nothing was proven")
	}
	d = open(t, path)
	b = begin()
	m, err := b.Material(t.Context(), "shop", c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := m.Key(); !ok || !got.Equal(key) {
		t.Error("it is not the key that was uploaded")
	}
	if got, err := b.Authenticate(t.Context(), whole.Reveal()); err != nil || got.ID != k.ID {
		t.Errorf("got %+v, %v, want %s", got, err, k.ID)
	}
}
