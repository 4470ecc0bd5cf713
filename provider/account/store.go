package account

import (
	"context"
	"errors"
)

// ErrNotFound says that there is no such record.
var ErrNotFound = errors.New("not found")

// Kind is a kind of record in a Store.
type Kind string

// The kinds of records; each is the JSON of the type named.
const (
	kindApp        Kind = "app"        // App, by its ID
	kindCredential Kind = "credential" // Credential, by its ID
	kindSecret     Kind = "secret"     // sealedSecret, by the ID of its credential
	kindKey        Kind = "key"        // storedKey, by its ID
	kindAudit      Kind = "audit"      // Entry, by its sequence number, 20 digits
	kindCounter    Kind = "counter"    // counter, by its name
)

// Store keeps the records of apps, credentials and keys. There are few, and the
// rules between them need transactions. The suite providertest.Account proves an
// implementation.
type Store interface {
	// Update runs f in one transaction: alone, and if it returns nil durable as a
	// whole; if not, nothing has happened.
	Update(ctx context.Context, f func(Tx) error) error
	// View runs f on a consistent state that it may not change.
	View(ctx context.Context, f func(Tx) error) error
}

// Tx is a transaction on a Store. It may not be used after its function has
// returned.
type Tx interface {
	// Get returns a record's body, or an error that wraps ErrNotFound. It may not
	// be changed.
	Get(kind Kind, id string) ([]byte, error)
	// Put stores a record's body, a JSON document, in place of what it had.
	Put(kind Kind, id string, body []byte) error
	// Delete removes a record, if it is there.
	Delete(kind Kind, id string) error
	// Each calls f for the records of a kind whose IDs are greater than after, by
	// ascending ID, until f returns an error, and returns that. f may change
	// records.
	Each(kind Kind, after string, f func(id string, body []byte) error) error
}
