package memory

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// guarded is a state that is looked at and changed by one caller at a time. It
// begins as the zero S.
type guarded[S any] struct {
	mu    sync.Mutex
	state S // guarded by mu
}

// view calls f with the state, which f may not change or keep.
func (g *guarded[S]) view(f func(*S) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return f(&g.state)
}

// change calls f to change the state. If f fails or does not return, the state
// is as it was before.
func (g *guarded[S]) change(f func(*S) error) (err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, err := json.Marshal(g.state)
	if err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	changed := false
	defer func() { // in a panic of f, too, which then goes on
		if changed {
			return
		}
		var was S
		if back := json.Unmarshal(before, &was); back != nil {
			err = errors.Join(err, fmt.Errorf("taking the change back: %w", back))
		}
		g.state = was
	}()
	err = f(&g.state)
	changed = err == nil
	return err
}
