package memory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// kept is a state that is looked at and changed by one caller at a time, and
// written to a file, if there is one, before a change counts.
type kept[S any] struct {
	mu    sync.Mutex
	state *S     // guarded by mu
	path  string // "" = memory alone
}

// open reads the state from the file at path, which need not exist yet.
func open[S any](path string) (*kept[S], error) {
	k := &kept[S]{state: new(S), path: path}
	if path == "" {
		return k, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	if err := json.Unmarshal(b, k.state); err != nil {
		return nil, fmt.Errorf("opening store: %s is damaged: %w", path, err)
	}
	return k, nil
}

// view calls f with the state, which f may not change or keep.
func (k *kept[S]) view(f func(*S) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return f(k.state)
}

// change calls f to change the state, and writes it. If f or the writing
// fails, or f does not return, the state is as it was before.
func (k *kept[S]) change(f func(*S) error) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before, err := json.Marshal(k.state)
	if err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	changed := false
	defer func() { // in a panic of f, too, which then goes on
		if changed {
			return
		}
		k.state = new(S)
		if back := json.Unmarshal(before, k.state); back != nil {
			err = errors.Join(err, fmt.Errorf("taking the change back: %w", back))
		}
	}()
	err = f(k.state)
	if err == nil && k.path != "" {
		err = k.write()
	}
	changed = err == nil
	return err
}

// write replaces the file by the state, so that a crash leaves the one or the
// other. The caller holds mu.
func (k *kept[S]) write() (err error) {
	b, err := json.MarshalIndent(k.state, "", "\t")
	if err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(k.path), filepath.Base(k.path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	if err := os.Rename(tmp.Name(), k.path); err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	dir, err := os.Open(filepath.Dir(k.path))
	if err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
