package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// passphraseFrom are the flags that say where a passphrase comes from. None
// takes it itself: a command line can be read by others.
type passphraseFrom struct {
	PassphraseFile string `xor:"passphrase" placeholder:"FILE" help:"File with the passphrase in its first line."`
	PassphraseFD   *int   `name:"passphrase-fd" xor:"passphrase" placeholder:"N" help:"File descriptor to read the passphrase from. Without either, HERALD_PASSPHRASE or the terminal."`
}

// maxPassphrase bounds a passphrase, in bytes.
const maxPassphrase = 4096

// read returns the passphrase. If it is new, a person has to type it twice.
func (p passphraseFrom) read(ctx context.Context, isNew bool) (string, error) {
	text, err := p.find(ctx, isNew)
	if err != nil {
		return "", unreadable(err)
	}
	if text == "" {
		return "", unreadable(errors.New("the passphrase is empty"))
	}
	return text, nil
}

func (p passphraseFrom) find(ctx context.Context, isNew bool) (string, error) {
	env, hasEnv := os.LookupEnv("HERALD_PASSPHRASE")
	switch {
	case p.PassphraseFile != "":
		f, err := os.Open(p.PassphraseFile)
		if err != nil {
			return "", err
		}
		return firstLine(f)
	case p.PassphraseFD != nil:
		f := os.NewFile(uintptr(*p.PassphraseFD), "passphrase") // a negative one becomes one that is not open
		if f == nil {
			return "", fmt.Errorf("there is no file descriptor %d", *p.PassphraseFD)
		}
		return firstLine(f)
	case hasEnv:
		return env, nil
	}
	first, err := askTerminal(ctx, "Passphrase of the backup: ")
	if err != nil || !isNew {
		return first, err
	}
	again, err := askTerminal(ctx, "The same again: ")
	if err == nil && again != first {
		err = errors.New("the two passphrases differ")
	}
	return first, err
}

// firstLine reads the first line of f and closes it.
func firstLine(f *os.File) (string, error) {
	b, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("reading passphrase: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if len(line) > maxPassphrase {
		return "", fmt.Errorf("a passphrase of more than %d bytes", maxPassphrase)
	}
	return strings.TrimSuffix(line, "\r"), nil
}

// errNoTerminal says that there is nobody to ask.
var errNoTerminal = errors.New("there is no terminal to ask for the passphrase: give --passphrase-file, --passphrase-fd or HERALD_PASSPHRASE")
