package credential

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/heraldpush/herald/apns"
)

// idLength is the length of a KeyID and of a TeamID.
const idLength = 10

// NewKeyID returns a random key ID: 10 upper-case letters and digits, 50
// random bits. The caller sees to it that no two keys share one.
func NewKeyID() apns.KeyID { return apns.KeyID(randomID()) }

// NewTeamID returns a random team ID, of the same form as a key ID.
func NewTeamID() apns.TeamID { return apns.TeamID(randomID()) }

// randomID leaves out 0, 1, 8 and 9, which people take for letters.
func randomID() string { return rand.Text()[:idLength] }

func checkKeyID(id apns.KeyID) error   { return checkID("key ID", string(id)) }
func checkTeamID(id apns.TeamID) error { return checkID("team ID", string(id)) }

// checkID refuses what is not 10 upper-case letters and digits. The common
// mistake is the name of the key's file.
func checkID(what, id string) error {
	ok := len(id) == idLength
	for i := 0; ok && i < len(id); i++ {
		ok = 'A' <= id[i] && id[i] <= 'Z' || '0' <= id[i] && id[i] <= '9'
	}
	if !ok {
		return fmt.Errorf("%s %.40q: want 10 upper-case letters and digits, such as 2X9R4HXF34", what, id)
	}
	return nil
}

// P8FileName returns the name under which Apple hands out the key id, such as
// "AuthKey_2X9R4HXF34.p8".
func P8FileName(id apns.KeyID) string { return "AuthKey_" + string(id) + ".p8" }

// NewProviderKey makes a key that signs provider tokens: ECDSA on P-256
// (docs/protocol/certificates.md#provider-keys).
func NewProviderKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("provider key: %w", err)
	}
	return key, nil
}

// MarshalP8 returns the content of a .p8 file: the key as PKCS#8 (RFC 5958),
// not encrypted, in PEM. The result is as secret as the key.
func MarshalP8(key *ecdsa.PrivateKey) ([]byte, error) {
	if err := checkProviderKey(key); err != nil {
		return nil, fmt.Errorf("provider key: %w", err)
	}
	der, err := privateKeyDER(key)
	if err != nil {
		return nil, fmt.Errorf("provider key: %w", err)
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: der}), nil
}

// ParseP8 reads the content of a .p8 file, also as editors, shells and
// configuration files mangle it: what CleanText repairs is accepted, and
// CleanText says what that was. The errors say what the input is instead of a
// provider key, and repeat nothing of it.
func ParseP8(data []byte) (*ecdsa.PrivateKey, error) {
	key, err := parseP8(data)
	if err != nil {
		return nil, fmt.Errorf("provider key: %w", err)
	}
	return key, nil
}

// useP8 is what to do about a file that is no provider key.
const useP8 = ": use the file AuthKey_….p8 as it was downloaded"

func parseP8(data []byte) (*ecdsa.PrivateKey, error) {
	blocks, err := pemBlocks(data)
	if errors.Is(err, errNoPEM) {
		return nil, fmt.Errorf("not a .p8 file: %w", err)
	}
	if err != nil {
		return nil, err
	}
	defer clearKeys(blocks)
	if blocks[0].Type == pemECParameters && len(blocks) > 1 {
		blocks = blocks[1:] // openssl ecparam writes the curve first
	}
	if len(blocks) > 1 {
		return nil, fmt.Errorf("not a .p8 file: %d PEM blocks, the first is %s; want one private key"+useP8, len(blocks), describePEM(blocks[0]))
	}
	if !isKeyBlock(blocks[0]) {
		return nil, fmt.Errorf("this is %s, not a .p8 file"+useP8, describePEM(blocks[0]))
	}
	parsed, err := parseKeyBlock(blocks[0])
	if err != nil {
		return nil, err
	}
	switch key := parsed.(type) {
	case *ecdsa.PrivateKey:
		if err := checkProviderKey(key); err != nil {
			return nil, err
		}
		return key, nil
	case *rsa.PrivateKey:
		return nil, errors.New("this is an RSA private key, which belongs to a certificate; a .p8 file holds an ECDSA key" + useP8)
	}
	return nil, errors.New("this is a private key of another kind; a .p8 file holds an ECDSA key" + useP8)
}

func checkProviderKey(key *ecdsa.PrivateKey) error {
	if key == nil {
		return errors.New("no key")
	}
	return checkProviderCurve(&key.PublicKey)
}

func checkProviderCurve(pub *ecdsa.PublicKey) error {
	switch {
	case pub == nil || pub.Curve == nil:
		return errors.New("no key")
	case pub.Curve != elliptic.P256():
		return fmt.Errorf("ECDSA on the curve %s; provider tokens are signed on P-256", pub.Params().Name)
	}
	return nil
}
