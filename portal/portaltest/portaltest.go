// Package portaltest proves that a store can stand behind a portal.
package portaltest

import (
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
		"Concurrent": concurrent,
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
	check := func(s portal.Store) {
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
	check(s)
	if reopen != nil {
		check(reopen())
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
