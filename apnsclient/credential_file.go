package apnsclient

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	// maxCredentialBytes bounds the file of a key or certificate.
	maxCredentialBytes = 1 << 20
	// lookAgainAfter is how long a file is taken to be what it was.
	lookAgainAfter = 10 * time.Second
)

// credentialFile is a key or certificate in a file that may be replaced at any
// time. A replacement that cannot be read leaves what was read before it.
type credentialFile[T any] struct {
	path  string
	parse func(path string, data []byte) (T, error)

	mu       sync.Mutex
	changed  func(error) // nil if nobody wants to know; guarded by mu
	value    T           // guarded by mu
	info     fs.FileInfo // of the file that value was read from; guarded by mu
	problem  string      // that changed was last told; empty if value is of the file that is there; guarded by mu
	lookedAt time.Time   // guarded by mu
}

// loadCredential reads the file at path.
func loadCredential[T any](path string, parse func(path string, data []byte) (T, error)) (*credentialFile[T], error) {
	f := &credentialFile[T]{path: path, parse: parse, lookedAt: time.Now()}
	var err error
	if f.value, f.info, err = f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

// get returns what the file holds, after another look at it unless the last was
// a moment ago.
func (f *credentialFile[T]) get() T {
	f.mu.Lock()
	tell, err := false, error(nil)
	if now := time.Now(); now.Sub(f.lookedAt) >= lookAgainAfter {
		f.lookedAt = now
		tell, err = f.look()
	}
	value, changed := f.value, f.changed
	f.mu.Unlock()
	if tell && changed != nil {
		changed(err)
	}
	return value
}

// look reads the file if it has changed, and returns whether there is something to
// tell. mu is held.
func (f *credentialFile[T]) look() (tell bool, err error) {
	if info, err := os.Stat(f.path); err == nil && f.problem == "" && sameFile(info, f.info) {
		return false, nil
	}
	value, info, err := f.read()
	if err != nil {
		tell = err.Error() != f.problem
		f.problem = err.Error()
		return tell, err
	}
	// What was broken may be what it was before again.
	tell = f.problem != "" || !sameFile(info, f.info)
	f.value, f.info, f.problem = value, info, ""
	return tell, nil
}

func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// read reads the file. What it was is asked for first, so that a change while it
// is read is seen at the next look.
func (f *credentialFile[T]) read() (T, fs.FileInfo, error) {
	var none T
	info, err := os.Stat(f.path)
	if err != nil {
		return none, nil, err
	}
	if !info.Mode().IsRegular() {
		return none, nil, fmt.Errorf("%s: not a file", f.path)
	}
	data, err := readBounded(f.path)
	if err != nil {
		return none, nil, err
	}
	value, err := f.parse(f.path, data)
	if err != nil {
		return none, nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return value, info, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxCredentialBytes+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if len(data) > maxCredentialBytes {
		return nil, fmt.Errorf("%s: over %d bytes: neither a key nor a certificate", path, maxCredentialBytes)
	}
	return data, nil
}

// onChange has f tell changes to tell.
func (f *credentialFile[T]) onChange(tell func(error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed = tell
}
