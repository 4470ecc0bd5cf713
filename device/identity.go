package device

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
)

// Activated reports whether a folder holds an identity, so that its device
// needs no enrolment code.
func Activated(dir string) bool {
	_, err := os.Lstat(folder{dir: dir}.path(identityFile))
	return err == nil
}

// loadIdentity reads identity.pem; without one it returns a zero identity.
func (f folder) loadIdentity() (credential.Identity, apns.DeviceID, error) {
	data, err := f.read(identityFile)
	if err != nil || data == nil {
		return credential.Identity{}, "", err
	}
	identity, err := credential.ParseIdentityPEM(data)
	if err != nil {
		return credential.Identity{}, "", fmt.Errorf("%s: %w", f.path(identityFile), err)
	}
	id, err := credential.ParseDeviceCertificate(identity.Certificate)
	if err != nil {
		return credential.Identity{}, "", fmt.Errorf("%s: %w", f.path(identityFile), err)
	}
	return identity, id, nil
}

// saveIdentity writes identity.pem, and removes the key that awaited it.
func (f folder) saveIdentity(identity credential.Identity) error {
	data, err := identity.MarshalPEM()
	if err != nil {
		return err
	}
	if err := f.write(identityFile, data); err != nil {
		return err
	}
	return f.remove(pendingFile)
}

// pendingKey returns the key to activate with. It is in the folder before the
// enrolment code is spent, so that a second attempt asks for the same: a
// certificate whose answer was lost would otherwise be lost with its code.
func (f folder) pendingKey() (*ecdsa.PrivateKey, error) {
	data, err := f.read(pendingFile)
	if err != nil {
		return nil, err
	}
	if data != nil {
		key, ok := parsePendingKey(data)
		if !ok {
			return nil, fmt.Errorf("%s: damaged: not one private key in PEM", f.path(pendingFile))
		}
		return key, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	text, err := credential.MarshalPrivateKeyPEM(key)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, f.write(pendingFile, text)
}

// parsePendingKey reads the pending file. What is wrong with it is not said:
// the file is Herald's own, and holds a key.
func parsePendingKey(data []byte) (*ecdsa.PrivateKey, bool) {
	parsed, err := credential.ParsePrivateKeyPEM(data, nil)
	if err != nil {
		return nil, false
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	return key, ok && key.Curve == elliptic.P256()
}
