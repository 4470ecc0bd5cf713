package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/heraldpush/herald/credential"
)

// passwordFlags say where the password of a file comes from. No flag takes
// the password itself: others can read a command line.
type passwordFlags struct {
	PasswordFile string `xor:"password" placeholder:"FILE" help:"File with the password in its first line."`
	PasswordFD   *int   `name:"password-fd" xor:"password" placeholder:"N" help:"File descriptor to read the password from. Without either, HERALD_PASSWORD or the terminal."`
}

// passphraseFlags say where the passphrase of a backup comes from, likewise.
type passphraseFlags struct {
	PassphraseFile string `xor:"passphrase" placeholder:"FILE" help:"File with the passphrase in its first line."`
	PassphraseFD   *int   `name:"passphrase-fd" xor:"passphrase" placeholder:"N" help:"File descriptor to read the passphrase from. Without either, HERALD_PASSPHRASE or the terminal."`
}

// errNoTerminal says that there is nobody to ask.
var errNoTerminal = errors.New("there is no terminal to ask at")

// read returns the passphrase. If it is new, a person has to type it twice.
func (f passphraseFlags) read(ctx context.Context, isNew bool) (string, error) {
	p := openPasswords(ctx, sourceOf(f.PassphraseFile, f.PassphraseFD, "HERALD_PASSPHRASE"))
	const prompt = "Passphrase of the backup"
	text, ok, err := p.source()
	switch {
	case err == nil && !ok && isNew:
		text, err = p.typedTwice(prompt)
	case err == nil && !ok:
		text, err = p.terminal(prompt)
	}
	switch {
	case errors.Is(err, errNoTerminal):
		return "", withHint(unreadable(fmt.Errorf("the passphrase is missing: %w", err)),
			"--passphrase-file, --passphrase-fd or HERALD_PASSPHRASE gives it.")
	case err != nil:
		return "", unreadable(fmt.Errorf("the passphrase: %w", err))
	case text == "":
		return "", unreadable(errors.New("the passphrase is empty"))
	}
	return text, nil
}

// passwordSource yields one password that does not come from a person; ok is
// false if there is none.
type passwordSource func() (password string, ok bool, err error)

func sourceOf(file string, fd *int, variable string) passwordSource {
	return func() (string, bool, error) {
		var f *os.File
		switch {
		case file != "":
			var err error
			if f, err = os.Open(file); err != nil {
				return "", false, err
			}
		case fd != nil:
			// A negative one becomes one that is not open.
			if f = os.NewFile(uintptr(*fd), "password"); f == nil { //nolint:gosec // see above
				return "", false, fmt.Errorf("there is no file descriptor %d", *fd)
			}
		default:
			password, ok := "", false
			if variable != "" {
				password, ok = os.LookupEnv(variable)
			}
			return password, ok, nil
		}
		password, err := firstLine(f)
		return password, err == nil, err
	}
}

// passwords finds the passwords of the files that a verb reads. It is used by
// one goroutine.
type passwords struct {
	source   passwordSource // read once: a descriptor can not be read again
	terminal func(prompt string) (string, error)

	last    string // the latest answer
	asked   bool   // there was one
	failure error  // why there was none
}

// open begins to find passwords. ctx ends the waiting for a person.
func (f passwordFlags) open(ctx context.Context) *passwords {
	return openPasswords(ctx, sourceOf(f.PasswordFile, f.PasswordFD, "HERALD_PASSWORD"))
}

func openPasswords(ctx context.Context, source passwordSource) *passwords {
	type answer struct {
		password string
		ok       bool
	}
	once := sync.OnceValues(func() (answer, error) {
		password, ok, err := source()
		return answer{password, ok}, err
	})
	return &passwords{
		source: func() (string, bool, error) {
			a, err := once()
			return a.password, a.ok, err
		},
		terminal: func(prompt string) (string, error) { return askTerminal(ctx, prompt+": ") },
	}
}

// ask is a credential.PasswordFunc.
func (p *passwords) ask(prompt string) (string, error) {
	password, ok, err := p.source()
	if err == nil && !ok {
		password, err = p.terminal(plain(prompt))
	}
	if err != nil {
		p.failure = err
		return "", err
	}
	p.last, p.asked = password, true
	return password, nil
}

// askOnce returns a credential.PasswordFunc for one file that is read more than
// once: it remembers the answer.
func (p *passwords) askOnce() credential.PasswordFunc {
	answered, answer := false, ""
	return func(prompt string) (string, error) {
		if answered {
			return answer, nil
		}
		var err error
		if answer, err = p.ask(prompt); err == nil {
			answered = true
		}
		return answer, err
	}
}

// explain says why nobody gave a password, where that is a problem's reason.
func (p *passwords) explain(problems []credential.Problem) {
	for i := range problems {
		switch b := &problems[i]; {
		case b.Code != credential.CodePassword || p.failure == nil:
		case errors.Is(p.failure, errNoTerminal):
			b.Hint = "There is no terminal to ask at: give --password-file, --password-fd or HERALD_PASSWORD."
		default:
			b.Message = fmt.Sprintf("The password could not be read: %v.", p.failure)
			b.Hint = "The password stands in the first line of --password-file, --password-fd or in HERALD_PASSWORD."
		}
	}
}
