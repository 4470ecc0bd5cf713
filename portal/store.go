package portal

import (
	"context"
	"errors"
)

// ErrNotFound says that there is no such record.
var ErrNotFound = errors.New("not found")

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

// Kind is a kind of record in a Store.
type Kind string

// The kinds of records; each is the JSON of the type named.
const (
	kindAuthority   Kind = "authority"   // authorityRecord, the only one has the ID "herald"
	kindTeam        Kind = "team"        // Team, by its ID
	kindApp         Kind = "app"         // App, by its bundle ID
	kindKey         Kind = "key"         // Key, by its ID
	kindCertificate Kind = "certificate" // Certificate, by its serial number
	kindDevice      Kind = "device"      // DeviceCertificate, by the device's ID
	kindEnrolment   Kind = "enrolment"   // Enrolment, by the hash of the code
	kindActivation  Kind = "activation"  // activated, by the hash of the code and the fingerprint of the key
	kindAudit       Kind = "audit"       // Entry, by its sequence number, 20 digits
	kindCounter     Kind = "counter"     // counter, by its name
)

// Store keeps a portal's records. There are few, and the rules between them
// need transactions. The suite portaltest.Run proves an implementation.
type Store interface {
	// Update runs f in one transaction: alone, and if it returns nil durable
	// as a whole; if not, nothing has happened.
	Update(ctx context.Context, f func(Tx) error) error
	// View runs f on a consistent state that it may not change.
	View(ctx context.Context, f func(Tx) error) error
}

// Tx is a transaction on a Store. It may not be used after its function has
// returned.
type Tx interface {
	// Get returns a record's body, or ErrNotFound. It may not be changed.
	Get(kind Kind, id string) ([]byte, error)
	// Put stores a record's body, a JSON document, in place of what it had.
	Put(kind Kind, id string, body []byte) error
	// Each calls f for all records of a kind, by ascending ID, until f
	// returns an error, and returns that.
	Each(kind Kind, f func(id string, body []byte) error) error
}
