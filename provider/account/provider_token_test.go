package account_test

import (
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
		token, err := credential.ParseProviderToken(text)
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.Signed(t.Context(), token)
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
