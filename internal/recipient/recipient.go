// Package recipient reads to whom a backup is encrypted.
package recipient

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// most bounds the recipients of a backup; each costs a key agreement.
const most = 20

// Parse reads age recipients, such as "age1…". At least one is required. The error
// says which is none, and repeats nothing of it.
func Parse(texts []string) ([]age.Recipient, error) {
	if len(texts) == 0 {
		return nil, errors.New("a backup holds private keys, and is encrypted to a recipient; there is none")
	}
	if len(texts) > most {
		return nil, fmt.Errorf("%d recipients, at most %d are possible", len(texts), most)
	}
	var all []age.Recipient
	for i, text := range texts {
		// The parser reads files with comments and lines; this is one.
		r, err := age.ParseRecipients(strings.NewReader(strings.TrimSpace(text)))
		if err != nil || len(r) != 1 {
			return nil, fmt.Errorf("recipient %d is not an age recipient", i+1)
		}
		all = append(all, r...)
	}
	// What each can do alone, they may not do together: a recipient that resists
	// quantum computers beside one that does not.
	if _, err := age.Encrypt(io.Discard, all...); err != nil {
		return nil, fmt.Errorf("no file can be encrypted to these recipients together: %w", err)
	}
	return all, nil
}
