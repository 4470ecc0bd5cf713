package main

import (
	"crypto/rand"
	"errors"
	"fmt"
)

// newPasswordFlags say where the password of a file that is written comes
// from.
type newPasswordFlags struct {
	NewPasswordFile  string `xor:"new-password" placeholder:"FILE" help:"File with the password to write with, in its first line."`
	NewPasswordFD    *int   `name:"new-password-fd" xor:"new-password" placeholder:"N" help:"File descriptor to read that password from."`
	GeneratePassword bool   `xor:"new-password" help:"Make that password up, and print it this once."`
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
		return p.twice(prompt, "--new-password-file or --new-password-fd")
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
	return p.twice(prompt, "--password-file, --password-fd or HERALD_PASSWORD")
}

// twice has a person type a new password twice. The flags are those that spare
// the person that.
func (p *passwords) twice(prompt, flags string) (newPassword, error) {
	password, err := p.typedTwice(plain(prompt))
	if err != nil {
		return newPassword{}, nobodyToAsk(err, flags)
	}
	return checkNew(password)
}

func (p *passwords) typedTwice(prompt string) (string, error) {
	first, err := p.terminal(prompt)
	if err != nil {
		return "", err
	}
	again, err := p.terminal("The same again")
	if err == nil && again != first {
		err = errors.New("the two that were typed differ")
	}
	return first, err
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
	return unreadable(fmt.Errorf("the password of the file to be written: %w", err))
}

// nobodyToAsk is passwordError with the flags that would have given one.
func nobodyToAsk(err error, flags string) error {
	if errors.Is(err, errNoTerminal) {
		return withHint(unreadable(errors.New("the file to be written needs a password, and there is no terminal to ask at")),
			"--generate-password makes one up; %s gives one.", flags)
	}
	return passwordError(err)
}
