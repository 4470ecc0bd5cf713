package main

import (
	"context"
	"crypto/rand"
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

// newPasswordFlags say where the password of a file that is written comes
// from.
type newPasswordFlags struct {
	NewPasswordFile  string `xor:"new-password" placeholder:"FILE" help:"File with the password to write with, in its first line."`
	NewPasswordFD    *int   `name:"new-password-fd" xor:"new-password" placeholder:"N" help:"File descriptor to read that password from."`
	GeneratePassword bool   `xor:"new-password" help:"Make that password up, and print it this once."`
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
	source   func() (string, bool, error) // read once: a descriptor can not be read again
	terminal func(prompt string) (string, error)

	last    string // the latest answer
	asked   bool   // there was one
	failure error  // why there was none
}

// open begins to find passwords. ctx ends the waiting for a person.
func (f passwordFlags) open(ctx context.Context) *passwords {
	type answer struct {
		password string
		ok       bool
	}
	source := sourceOf(f.PasswordFile, f.PasswordFD, "HERALD_PASSWORD")
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

// newPassword is the password of a file that is written.
type newPassword struct {
	text      string
	generated bool
}

// generate makes a password up: 26 letters and digits, 130 bits.
func generate() newPassword { return newPassword{rand.Text(), true} }

// line says what was made up, and nothing for a password that a person knows.
func (n newPassword) line(file string) string {
	if !n.generated {
		return ""
	}
	return fmt.Sprintf("Password of %s: %s (made up; it is not shown again)\n", plain(file), n.text)
}

// json returns what was made up, and nothing for a password that a person
// knows.
func (n newPassword) json() string {
	if !n.generated {
		return ""
	}
	return n.text
}

// choose returns the password for a file to be written, in this order: what
// the flags say; what a file that was read had opened with; what p's source
// says; what a person types twice.
func (f newPasswordFlags) choose(p *passwords, prompt string) (newPassword, error) {
	if f.GeneratePassword {
		return generate(), nil
	}
	password, ok, err := sourceOf(f.NewPasswordFile, f.NewPasswordFD, "")()
	if err != nil {
		return newPassword{}, passwordError(err)
	}
	switch {
	case ok:
		return checkNew(password)
	case p.asked && p.last != "":
		return checkNew(p.last)
	}
	return p.fresh(prompt)
}

// own is choose for a verb that replaces a password: the old one does not
// become the new one.
func (f newPasswordFlags) own(p *passwords, prompt string) (newPassword, error) {
	if f.NewPasswordFile == "" && f.NewPasswordFD == nil && !f.GeneratePassword {
		return p.twice(prompt)
	}
	return f.choose(p, prompt)
}

// fresh returns a new password from p's source, or from a person.
func (p *passwords) fresh(prompt string) (newPassword, error) {
	password, ok, err := p.source()
	if err != nil {
		return newPassword{}, passwordError(err)
	}
	if ok {
		return checkNew(password)
	}
	return p.twice(prompt)
}

// twice has a person type a new password twice.
func (p *passwords) twice(prompt string) (newPassword, error) {
	first, err := p.terminal(plain(prompt))
	if err == nil {
		var again string
		if again, err = p.terminal("The same again"); err == nil && again != first {
			err = errors.New("the two passwords differ")
		}
	}
	if err != nil {
		return newPassword{}, passwordError(err)
	}
	return checkNew(first)
}

// checkNew refuses the empty password: readers disagree on what it is.
func checkNew(password string) (newPassword, error) {
	if password == "" {
		return newPassword{}, passwordError(errors.New("it is empty"))
	}
	return newPassword{text: password}, nil
}

// passwordError says that there is no password to write a file with.
func passwordError(err error) error {
	if errors.Is(err, errNoTerminal) {
		return withHint(unreadable(errors.New("the file to be written needs a password, and there is no terminal to ask at")),
			"--generate-password makes one up; the other flags that end in -password-file and -password-fd read one.")
	}
	return unreadable(fmt.Errorf("the password of the file to be written: %w", err))
}
