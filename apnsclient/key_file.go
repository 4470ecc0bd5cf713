package apnsclient

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// LoadKey returns the provider tokens of the key in a .p8 file. An empty id
// stands for the one in the name of the file, or of the file that it is a link
// to, such as AuthKey_2X9R4HXF34.p8.
//
// The file is read again when a provider token is made and when the gateway
// refuses the key. One that cannot be read leaves the key from before, and
// OnChange is told.
func LoadKey(path string, team apns.TeamID, id apns.KeyID) (*ProviderTokens, error) {
	if err := checkTeam(team); err != nil {
		return nil, err
	}
	file, err := loadCredential(path, func(path string, data []byte) (*providerKey, error) {
		key, err := credential.ParseP8(data)
		if err != nil {
			return nil, err
		}
		id := id
		if id == "" {
			if id, err = keyIDOf(path); err != nil {
				return nil, err
			}
		}
		return newProviderKey(id, key)
	})
	if err != nil {
		return nil, fmt.Errorf("provider tokens: %w", err)
	}
	return &ProviderTokens{team: team, file: file, key: file.value}, nil
}

// keyIDOf returns the key ID in the name of a .p8 file.
func keyIDOf(path string) (apns.KeyID, error) {
	if id := credential.KeyIDFromFileName(filepath.Base(path)); id != "" {
		return id, nil
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		if id := credential.KeyIDFromFileName(filepath.Base(real)); id != "" {
			return id, nil
		}
	}
	return "", errors.New("no key ID in the name of the file: give it, or name the file AuthKey_<key ID>.p8")
}

// OnChange has f called with nil when another key was read from the file of
// LoadKey, and with the error when one could not be: once for each, not for each try. It
// must not block, and must not push. Nil ends that.
func (p *ProviderTokens) OnChange(f func(error)) {
	if p.file != nil {
		p.file.onChange(f)
	}
}
