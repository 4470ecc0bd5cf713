// Package portaltest proves that a store can stand behind a portal.
package portaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/heraldpush/herald/portal"
)

// opener makes an empty store; the function it returns besides opens the same
// store again, and is nil for one that cannot be reopened.
type opener = func(t *testing.T) (store portal.Store, reopen func() portal.Store)

// Run tests the stores that open makes, empty each time.
func Run(t *testing.T, open opener) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, opener){
		"Records":    records,
		"Rollback":   rollback,
		"View":       view,
		"Each":       each,
		"Panic":      panics,
		"Cancelled":  cancelled,
		"Concurrent": concurrent,
		"Consistent": consistent,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func records(t *testing.T, open opener) {
	s, reopen := open(t)
	err := s.Update(t.Context(), func(tx portal.Tx) error {
		return errors.Join(
			tx.Put("app", "b", []byte(`{"n":2}`)),
			tx.Put("app", "a", []byte(`{"n":0}`)),
			tx.Put("app", "a", []byte(`{"n":1}`)),
			tx.Put("team", "c", []byte(`{"n":3}`)),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	look := func(s portal.Store) {
		var got []string
		err := s.View(t.Context(), func(tx portal.Tx) error {
			if _, err := tx.Get("app", "c"); !errors.Is(err, portal.ErrNotFound) {
				t.Errorf("Get of a record of another kind: got %v, want %v", err, portal.ErrNotFound)
			}
			return tx.Each("app", func(id string, body []byte) error {
				one, err := tx.Get("app", id)
				got = append(got, fmt.Sprintf("%s=%s=%s", id, compact(body), compact(one)))
				return err
			})
		})
		want := []string{`a={"n":1}={"n":1}`, `b={"n":2}={"n":2}`}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	look(s)
	if reopen != nil {
		look(reopen())
	}
}

// compact takes the white space out of a body, which a store may add.
func compact(body []byte) []byte {
	return slices.DeleteFunc(slices.Clone(body), func(c byte) bool { return c == ' ' || c == '\n' || c == '\t' })
}

func rollback(t *testing.T, open opener) {
	s, reopen := open(t)
	put := func(body string, then error) error {
		return s.Update(t.Context(), func(tx portal.Tx) error {
			return errors.Join(tx.Put("app", "a", []byte(body)), then)
		})
	}
	if err := put(`1`, nil); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if err := put(`2`, refused); !errors.Is(err, refused) {
		t.Errorf("Update: got %v, want %v", err, refused)
	}
	if reopen != nil {
		s = reopen()
	}
	err := s.View(t.Context(), func(tx portal.Tx) error {
		got, err := tx.Get("app", "a")
		if string(got) != "1" {
			t.Errorf("after a refused update: got %s, want 1", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func view(t *testing.T, open opener) {
	s, _ := open(t)
	if err := s.View(t.Context(), func(tx portal.Tx) error { return tx.Put("app", "a", []byte(`1`)) }); err == nil {
		t.Error("Put in a View succeeded")
	}
}

func concurrent(t *testing.T, open opener) {
	s, _ := open(t)
	const n = 16
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx portal.Tx) error {
				count := 0
				if body, err := tx.Get("count", "it"); err == nil {
					if _, err := fmt.Sscan(string(body), &count); err != nil {
						return err
					}
				}
				return tx.Put("count", "it", fmt.Append(nil, count+1))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	err := s.View(t.Context(), func(tx portal.Tx) error {
		body, err := tx.Get("count", "it")
		if string(body) != fmt.Sprint(n) {
			t.Errorf("%d increments gave %s: updates were not alone", n, body)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// many is more records than a store may want to read at once.
const many = 300

// each proves that Each goes through all records by ascending ID while others
// change, and ends where it is told to.
func each(t *testing.T, open opener) {
	s, _ := open(t)
	var want []string
	err := s.Update(t.Context(), func(tx portal.Tx) error {
		for i := range many {
			id := fmt.Sprintf("%03d", i*7%many)
			want = append(want, id)
			if err := tx.Put("app", id, []byte(`0`)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	enough := errors.New("enough")
	err = s.Update(t.Context(), func(tx portal.Tx) error {
		var got []string
		err := tx.Each("app", func(id string, _ []byte) error {
			got = append(got, id)
			return tx.Put("app", id, []byte(`1`))
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		calls := 0
		if err := tx.Each("app", func(string, []byte) error { calls++; return enough }); !errors.Is(err, enough) || calls != 1 {
			t.Errorf("told to end: got %v after %d calls, want %v after 1", err, calls, enough)
		}
		return tx.Each("app", func(id string, body []byte) error {
			if string(body) != "1" {
				t.Errorf("%s: got %s, want what was put while it was read", id, body)
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

// panics proves that an update that panics is taken back, passes its panic on,
// and is in nobody's way.
func panics(t *testing.T, open opener) {
	s, _ := open(t)
	put := func(body string, then func()) (recovered any, err error) {
		defer func() { recovered = recover() }()
		return nil, s.Update(t.Context(), func(tx portal.Tx) error {
			err := tx.Put("app", "a", []byte(body))
			then()
			return err
		})
	}
	if _, err := put(`1`, func() {}); err != nil {
		t.Fatal(err)
	}
	if got, _ := put(`2`, func() { panic("broken rule") }); got != "broken rule" {
		t.Errorf("recovered: got %v, want the panic of the update", got)
	}
	check(t, s, "a", "1")
	if _, err := put(`3`, func() {}); err != nil {
		t.Errorf("update after a panic: %v", err)
	}
	check(t, s, "a", "3")
}

// check compares an app's body.
func check(t *testing.T, s portal.Store, id, want string) {
	t.Helper()
	err := s.View(t.Context(), func(tx portal.Tx) error {
		got, err := tx.Get("app", id)
		if string(got) != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// cancelled proves that nothing begins under a context that has ended.
func cancelled(t *testing.T, open opener) {
	s, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, begin := range map[string]func(context.Context, func(portal.Tx) error) error{"Update": s.Update, "View": s.View} {
		err := begin(ctx, func(portal.Tx) error {
			t.Errorf("%s: the function was called", name)
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want %v", name, err, context.Canceled)
		}
	}
}

// consistent proves that a view sees an update whole or not at all, and the
// same from its beginning to its end.
func consistent(t *testing.T, open opener) {
	s, _ := open(t)
	const updates, views = 60, 4
	put := func(n int) error {
		return s.Update(t.Context(), func(tx portal.Tx) error {
			body := fmt.Append(nil, n)
			return errors.Join(tx.Put("app", "a", body), tx.Put("app", "b", body), tx.Put("app", "c", body))
		})
	}
	if err := put(0); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var looking sync.WaitGroup
	look := func() error {
		return s.View(t.Context(), func(tx portal.Tx) error {
			first, err := tx.Get("app", "a")
			if err != nil {
				return err
			}
			return tx.Each("app", func(id string, body []byte) error {
				if string(body) != string(first) {
					t.Errorf("one view: a is %s and %s is %s", first, id, body)
				}
				return nil
			})
		})
	}
	for range views {
		looking.Go(func() {
			for {
				if err := look(); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for n := range updates {
		if err := put(n + 1); err != nil {
			t.Error(err)
		}
	}
	close(done)
	looking.Wait()
	check(t, s, "c", fmt.Sprint(updates))
}
