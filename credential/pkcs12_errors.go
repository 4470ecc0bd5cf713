package credential

import (
	"encoding/asn1"
	"errors"
	"fmt"
)

// What a person can set right about a file that is locked with a password.
// Each is in the chain of the error that says it.
var (
	// ErrPassword says that the password is not the one of the file. It is said
	// only after the file's own check disagreed: its MAC, or, where it has
	// none, what decrypting gave. What Herald can not decrypt is an
	// UnsupportedError.
	ErrPassword = errors.New("this password does not open it")
	// ErrKeyPassword says that a PKCS#12 file opened with the password, but
	// that a part of it is encrypted with another.
	ErrKeyPassword = errors.New("the file opens with this password, but a part of it is locked with another one")
	// ErrNoPassword says that a private key is encrypted, and that nobody was
	// there to be asked for the password.
	ErrNoPassword = errors.New("the private key is encrypted, and no password was given")
)

// What a file may lack to be an identity. See also ErrKeyMismatch.
var (
	// ErrNoKey says that there is a certificate, but no private key.
	ErrNoKey = errors.New("a certificate without a private key")
	// ErrNoCertificate says that there is a private key, but no certificate.
	ErrNoCertificate = errors.New("a private key without a certificate")
	// ErrManyIdentities says that there are several, and that one has to be
	// chosen.
	ErrManyIdentities = errors.New("more than one identity")
)

// UnsupportedError says that an algorithm or a form is one that this package
// does not read. The file may be sound, and the password right.
type UnsupportedError struct {
	// What it is for, such as "encryption".
	What string
	// OID names it. It is empty for what has none, as in a DEK-Info header.
	OID asn1.ObjectIdentifier
	// Name is what people call it. Empty if this package has no name for it.
	Name string
}

// Error implements error.
func (e *UnsupportedError) Error() string {
	name := e.Name
	switch {
	case name == "":
		name = e.OID.String()
	case len(e.OID) > 0:
		name += " (" + e.OID.String() + ")"
	}
	return fmt.Sprintf("the %s %s is not supported", e.What, name)
}

// LimitError says that a file asks for more work or room than any sound file
// needs.
type LimitError struct {
	// What there is too much of, in the plural.
	What string
	// Got is how many there are, or at which one reading stopped.
	Got int
	// Max is how many are accepted.
	Max int
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%d %s, at most %d are accepted", e.Got, e.What, e.Max)
}

// NotPKCS12Error says that a file is of another kind.
type NotPKCS12Error struct {
	// Found is what it is, for the sentence "this is …". Empty if that is
	// unknown.
	Found string
}

// Error implements error.
func (e *NotPKCS12Error) Error() string {
	if e.Found == "" {
		return "not a PKCS#12 file"
	}
	return "this is " + e.Found + ", not a PKCS#12 file"
}
