package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/heraldpush/herald/credential"
)

// maxSmallFile bounds credentials, requests and settings, in bytes.
const maxSmallFile = 1 << 20

// input is a file that was read. Its mode is zero for standard input.
type input struct {
	credential.File
	path string
	mode fs.FileMode
}

// readInput reads a credential, or standard input if the name is "-": 1 MiB and
// one byte at most, so that whoever judges the content sees what is too large.
// The error says that it cannot be read.
func readInput(name string) (in input, err error) {
	if in, err = read(name); err != nil {
		return in, unreadable(err)
	}
	return in, nil
}

func read(name string) (in input, err error) {
	in.path, in.Name = name, name
	f := os.Stdin
	if name != "-" {
		if f, err = os.Open(name); err != nil {
			return in, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return in, err
		}
		if info.IsDir() {
			return in, fmt.Errorf("%s is a folder", plain(name))
		}
		in.mode = info.Mode()
	}
	if in.Data, err = io.ReadAll(io.LimitReader(f, maxSmallFile+1)); err != nil {
		return in, fmt.Errorf("reading %s: %w", plain(name), err)
	}
	return in, nil
}

// readSmallFile reads a file of which nobody else judges whether it is empty or
// too large, or standard input if the name is "-".
func readSmallFile(name string) ([]byte, error) {
	in, err := read(name)
	switch {
	case err != nil:
		return nil, err
	case len(in.Data) > maxSmallFile:
		return nil, fmt.Errorf("%s has more than 1 MiB: this is another kind of file", plain(name))
	case len(in.Data) == 0:
		return nil, fmt.Errorf("%s is empty", plain(name))
	}
	return in.Data, nil
}

// readerFunc is an io.Reader.
type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// readRoots reads certificates to trust. None is named by an empty name: nil
// stands for the system's.
func readRoots(name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil
	}
	b, err := readSmallFile(name)
	if err != nil {
		return nil, unreadable(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return nil, unreadable(fmt.Errorf("%s holds no certificate, PEM", plain(name)))
	}
	return roots, nil
}

// readRequest reads a certificate signing request and returns it as text.
func readRequest(name string) (string, error) {
	b, err := readSmallFile(name)
	if err != nil {
		return "", unreadable(err)
	}
	if b[0] == 0x30 { // DER: it begins a SEQUENCE, text does not
		b = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: b})
	}
	return string(b), nil
}

// maxPassword bounds a password, in bytes.
const maxPassword = 4096

// firstLine reads the first line of f, which is secret, and closes it.
func firstLine(f *os.File) (string, error) {
	b, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if len(line) > maxPassword {
		return "", fmt.Errorf("the first line has more than %d bytes", maxPassword)
	}
	return strings.TrimSuffix(line, "\r"), nil
}

// exposed returns a warning if others than the owner can read the file, which
// holds a private key.
func (in input) exposed() []credential.Problem {
	const others = 0o044
	if in.mode.Perm()&others == 0 || !in.mode.IsRegular() || runtime.GOOS == "windows" { // where modes say nothing
		return nil
	}
	return []credential.Problem{credential.NewProblem(credential.WarnPermissions,
		fmt.Sprintf("%s can be read by others on this machine (mode %04o), and holds a private key.", plain(in.path), in.mode.Perm()))}
}

// is reports whether path is the file that was read.
func (in input) is(path string) bool {
	a, err := os.Stat(in.path)
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
