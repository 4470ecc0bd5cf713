package account_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/provider/account"
)

func TestSigned(t *testing.T) {
	s := newShelf(t, account.Config{Sealer: newSealer(t)})
	if _, err := s.CreateApp(t.Context(), account.AppSpec{ID: "cafe", BundleID: "com.example.cafe"}); err != nil {
		t.Fatal(err)
	}
	key, other := newKey(t), newKey(t)
	p8, err := credential.MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	u := account.Upload{File: p8, FileName: "AuthKey_2X9R4HXF34.p8", TeamID: team}
	first := s.upload(t, u)
	second, err := s.Upload(t.Context(), "cafe", u)
	if err != nil {
		t.Fatal(err)
	}
	s.upload(t, keyUpload(t)) // another key under the same ID
	s.upload(t, account.Upload{File: pemOf(t, certificate(t, credential.PushUniversal, bundleID, time.Now().Add(time.Hour)))})

	signed := func(t *testing.T, by string, team apns.TeamID, id apns.KeyID) (got []account.CredentialID) {
		t.Helper()
		signer := key
		if by == "other" {
			signer = other
		}
		text, err := credential.MintProviderToken(signer, id, team, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		_, all, err := s.Signed(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			got = append(got, c.ID)
		}
		slices.Sort(got)
		return got
	}
	both := []account.CredentialID{first.ID, second.ID}
	slices.Sort(both)
	for _, tt := range []struct {
		name, by string
		team     apns.TeamID
		id       apns.KeyID
		want     []account.CredentialID
	}{
		{"in both apps", "key", team, "2X9R4HXF34", both},
		{"again", "key", team, "2X9R4HXF34", both},
		{"by another key", "other", team, "2X9R4HXF34", nil},
		{"of another team", "key", "ZZZZZ12345", "2X9R4HXF34", nil},
		{"under another ID", "key", team, "ZZZZZ12345", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := signed(t, tt.by, tt.team, tt.id); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if err := s.DeleteCredential(t.Context(), shop, first.ID, true); err != nil {
		t.Fatal(err)
	}
	if got, want := signed(t, "key", team, "2X9R4HXF34"), []account.CredentialID{second.ID}; !slices.Equal(got, want) {
		t.Errorf("after its removal: got %v, want %v", got, want)
	}
}

// A provider token whose signature was checked is known again, and not for longer
// than its key.
func TestSignedAgain(t *testing.T) {
	s, key := newShelf(t, account.Config{Sealer: newSealer(t)}), newKey(t)
	p8, err := credential.MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	u := account.Upload{File: p8, FileName: "AuthKey_2X9R4HXF34.p8", TeamID: team}
	first := s.upload(t, u)
	madeAt := time.Now().Truncate(time.Second)
	text, err := credential.MintProviderToken(key, "2X9R4HXF34", team, madeAt)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(text string, want ...account.CredentialID) {
		t.Helper()
		var got []account.CredentialID
		issuedAt, by, err := s.Signed(t.Context(), text)
		for _, c := range by {
			got = append(got, c.ID)
		}
		if err != nil || !issuedAt.Equal(madeAt) || !slices.Equal(got, want) {
			t.Errorf("got %v made at %v, %v; want %v at %v", got, issuedAt, err, want, madeAt)
		}
	}
	signed(text, first.ID)
	signed(text, first.ID)
	signed(text[:len(text)-4] + "AAAA") // says the same, under another signature
	if err := s.DeleteCredential(t.Context(), shop, first.ID, true); err != nil {
		t.Fatal(err)
	}
	signed(text)
	signed(text)
	signed(text, s.upload(t, u).ID)
	if _, _, err := s.Signed(t.Context(), "a.b.c"); !errors.Is(err, account.ErrProviderToken) {
		t.Errorf("got %v, want ErrProviderToken", err)
	}
}

// To know a provider token again costs what is returned and no more: a check of the
// signature has some dozen allocations.
func TestSignedAllocations(t *testing.T) {
	s, key := newShelf(t, account.Config{Sealer: newSealer(t)}), newKey(t)
	p8, err := credential.MarshalP8(key)
	if err != nil {
		t.Fatal(err)
	}
	s.upload(t, account.Upload{File: p8, FileName: "AuthKey_2X9R4HXF34.p8", TeamID: team})
	text, err := credential.MintProviderToken(key, "2X9R4HXF34", team, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	const most = 5
	got := testing.AllocsPerRun(100, func() {
		if _, by, err := s.Signed(t.Context(), text); err != nil || len(by) != 1 {
			t.Errorf("got %v, %v", by, err)
		}
	})
	if got > most {
		t.Errorf("got %v allocations, want at most %d", got, most)
	}
}
