package providertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/heraldpush/herald/provider/account"
)

// OpenAccount opens an empty store. The function it returns besides opens the
// same store again, with what it had when it was left, by a crash or otherwise;
// it is nil for a store that cannot be reopened.
type OpenAccount func(t *testing.T) (store account.Store, reopen func() account.Store)

// Account tests the stores that open makes.
func Account(t *testing.T, open OpenAccount) {
	t.Helper()
	for name, test := range map[string]func(*ledger, *testing.T){
		"Records":    (*ledger).testRecords,
		"Refuses":    (*ledger).testRefuses,
		"Each":       (*ledger).testEach,
		"View":       (*ledger).testView,
		"Panic":      (*ledger).testPanic,
		"Cancelled":  (*ledger).testCancelled,
		"Concurrent": (*ledger).testConcurrent,
		"Consistent": (*ledger).testConsistent,
		"Random":     (*ledger).testRandom,
	} {
		t.Run(name, func(t *testing.T) {
			s, reopen := open(t)
			test(&ledger{s, reopen}, t)
		})
	}
}

// ledger is a store under test.
type ledger struct {
	account.Store
	again func() account.Store
}

// kinds are those of records under test.
var kinds = []account.Kind{"one", "other"}

// do changes records, each given as "kind id=body"; a body that is missing removes
// the record.
func (l *ledger) do(t *testing.T, records ...string) {
	t.Helper()
	if err := l.Update(t.Context(), func(tx account.Tx) error { return write(tx, records) }); err != nil {
		t.Fatal(err)
	}
}

func write(tx account.Tx, records []string) error {
	for _, r := range records {
		key, body, _ := strings.Cut(r, "=")
		kind, id, _ := strings.Cut(key, " ")
		var err error
		if body == "" {
			err = tx.Delete(account.Kind(kind), id)
		} else {
			err = tx.Put(account.Kind(kind), id, []byte(body))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// want compares all records, in the store and in the store opened again, and what
// Get and Each say of them.
func (l *ledger) want(t *testing.T, records ...string) {
	t.Helper()
	twice(t, &l.Store, l.again, func(t *testing.T) {
		t.Helper()
		if got := l.all(t); !slices.Equal(got, records) {
			t.Errorf("got %q, want %q", got, records)
		}
	})
}

func (l *ledger) all(t *testing.T) (all []string) {
	t.Helper()
	err := l.View(t.Context(), func(tx account.Tx) (err error) {
		all, err = list(tx)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return all
}

func list(tx account.Tx) (all []string, err error) {
	for _, kind := range kinds {
		err := tx.Each(kind, "", func(id string, body []byte) error {
			one, err := tx.Get(kind, id)
			if err == nil && string(one) != string(body) {
				err = fmt.Errorf("%s %s: Get says %s, Each says %s", kind, id, one, body)
			}
			all = append(all, fmt.Sprintf("%s %s=%s", kind, id, body))
			return err
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func (l *ledger) testRecords(t *testing.T) {
	l.want(t)
	l.do(t, "one b=2", "one a=0", "one a=1", "other b=3", "one c=4")
	l.want(t, "one a=1", "one b=2", "one c=4", "other b=3")
	l.do(t, "one b", "one never", "one a=5", "one d=6", "one d")
	l.want(t, "one a=5", "one c=4", "other b=3")
	err := l.View(t.Context(), func(tx account.Tx) error {
		for _, id := range []string{"b", "d", "never", ""} {
			if body, err := tx.Get("one", id); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("Get of %q: got %s, %v, want ErrNotFound", id, body, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// testRefuses proves that a change that fails has not happened, and that what is
// put stays the caller's.
func (l *ledger) testRefuses(t *testing.T) {
	l.do(t, "one a=1", "one b=2")
	refused := errors.New("refused")
	err := l.Update(t.Context(), func(tx account.Tx) error {
		body := []byte("3")
		if err := tx.Put("one", "a", body); err != nil {
			return err
		}
		body[0] = 'x'
		if got, err := tx.Get("one", "a"); string(got) != "3" {
			t.Errorf("in the transaction: got %s, %v, want 3", got, err)
		}
		return errors.Join(write(tx, []string{"one a", "one b=4", "one b=5", "one c=6", "other a=7"}), refused)
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
	l.want(t, "one a=1", "one b=2")
	for name, f := range map[string]func(account.Tx) error{
		"no ID":   func(tx account.Tx) error { return tx.Put("one", "", []byte("1")) },
		"no body": func(tx account.Tx) error { return tx.Put("one", "z", nil) },
	} {
		if err := l.Update(t.Context(), f); err == nil {
			t.Errorf("%s: it was stored", name)
		}
	}
	l.want(t, "one a=1", "one b=2")
}

// testEach proves that Each goes through all records after one by ascending ID
// while others change, and ends where it is told to.
func (l *ledger) testEach(t *testing.T) {
	const many = 300 // more than a store may want to read at once
	var ids, records []string
	for i := range many {
		id := fmt.Sprintf("%03d", i*7%many)
		ids, records = append(ids, id), append(records, "one "+id+"=0")
	}
	slices.Sort(ids)
	l.do(t, append(records, "other x=0")...)
	err := l.Update(t.Context(), func(tx account.Tx) error {
		for after, want := range map[string][]string{"": ids, "099": ids[100:], "0995": ids[100:], "299": nil} {
			var got []string
			err := tx.Each("one", after, func(id string, _ []byte) error {
				got = append(got, id)
				return tx.Put("one", id, []byte("1"))
			})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("after %q: got %q, %v, want %q", after, got, err, want)
			}
		}
		calls, enough := 0, errors.New("enough")
		if err := tx.Each("one", "", func(string, []byte) error { calls++; return enough }); !errors.Is(err, enough) || calls != 1 {
			t.Errorf("told to end: got %v after %d calls, want %v after 1", err, calls, enough)
		}
		return tx.Each("one", "", func(id string, body []byte) error {
			if string(body) != "1" {
				t.Errorf("%s: got %s, want what was put while it was read", id, body)
			}
			return tx.Delete("one", id)
		})
	})
	if err != nil {
		t.Error(err)
	}
	l.want(t, "other x=0")
}

func (l *ledger) testView(t *testing.T) {
	l.do(t, "one a=1")
	for _, change := range []string{"one a=2", "one a"} {
		err := l.View(t.Context(), func(tx account.Tx) error { return write(tx, []string{change}) })
		if err == nil {
			t.Errorf("%q in a view: got no error", change)
		}
	}
	l.want(t, "one a=1")
}

// testPanic proves that an update that panics is taken back, passes its panic on,
// and is in nobody's way.
func (l *ledger) testPanic(t *testing.T) {
	l.do(t, "one a=1")
	func() {
		defer func() {
			if got := recover(); got != "broken rule" {
				t.Errorf("recovered: got %v, want the panic of the update", got)
			}
		}()
		err := l.Update(t.Context(), func(tx account.Tx) error {
			if err := write(tx, []string{"one a=2", "one b=2"}); err != nil {
				t.Error(err)
			}
			panic("broken rule")
		})
		t.Errorf("Update returned %v", err)
	}()
	l.want(t, "one a=1")
	l.do(t, "one a=3")
	l.want(t, "one a=3")
}

// testCancelled proves that nothing begins under a context that has ended.
func (l *ledger) testCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, begin := range map[string]func(context.Context, func(account.Tx) error) error{"Update": l.Update, "View": l.View} {
		err := begin(ctx, func(account.Tx) error {
			t.Errorf("%s: the function was called", name)
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want %v", name, err, context.Canceled)
		}
	}
}

func (l *ledger) testConcurrent(t *testing.T) {
	const n = 16
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			err := l.Update(t.Context(), func(tx account.Tx) error {
				count := 0
				if body, err := tx.Get("one", "count"); err == nil {
					if _, err := fmt.Sscan(string(body), &count); err != nil {
						return err
					}
				}
				return tx.Put("one", "count", fmt.Append(nil, count+1))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l.want(t, fmt.Sprintf("one count=%d", n))
}

// testConsistent proves that a view sees an update whole or not at all, and the
// same from its beginning to its end.
func (l *ledger) testConsistent(t *testing.T) {
	const updates, views = 60, 4
	put := func(n int) {
		l.do(t, fmt.Sprintf("one a=%d", n), fmt.Sprintf("one b=%d", n), fmt.Sprintf("one c=%d", n))
	}
	put(1)
	done := make(chan struct{})
	look := func() error {
		return l.View(t.Context(), func(tx account.Tx) error {
			first, err := tx.Get("one", "a")
			if err != nil {
				return err
			}
			return tx.Each("one", "", func(id string, body []byte) error {
				if string(body) != string(first) {
					t.Errorf("one view: a is %s and %s is %s", first, id, body)
				}
				return nil
			})
		})
	}
	var looking sync.WaitGroup
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
		put(n + 2)
	}
	close(done)
	looking.Wait()
	l.want(t, fmt.Sprintf("one a=%d", updates+1), fmt.Sprintf("one b=%d", updates+1), fmt.Sprintf("one c=%d", updates+1))
}

// testRandom does the same to the store and to a plain map, and compares them. Some
// changes are refused in the end.
func (l *ledger) testRandom(t *testing.T) {
	want, refused := make(map[string]string), errors.New("refused")
	rounds := 0
	rapid.Check(t, func(rt *rapid.T) {
		rounds++
		for range rapid.IntRange(1, 5).Draw(rt, "changes") {
			after, end := maps.Clone(want), error(nil)
			var records []string
			for range rapid.IntRange(0, 5).Draw(rt, "records") {
				key := string(rapid.SampledFrom(kinds).Draw(rt, "kind")) + " " + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "id")
				if rapid.Bool().Draw(rt, "put") {
					after[key] = fmt.Sprint(rapid.IntRange(0, 9).Draw(rt, "body"))
				} else {
					delete(after, key)
				}
				records = append(records, key+"="+after[key])
			}
			if rapid.IntRange(0, 3).Draw(rt, "refused") == 0 {
				end = refused
			}
			err := l.Update(t.Context(), func(tx account.Tx) error {
				if err := write(tx, records); err != nil {
					return err
				}
				return end
			})
			if !errors.Is(err, end) {
				rt.Fatalf("got %v, want %v", err, end)
			}
			if end == nil {
				want = after
			}
		}
		if l.again != nil && rounds%16 == 0 { // to open a store may take as long as many rounds
			l.Store = l.again()
		}
		var all []string
		for _, key := range slices.Sorted(maps.Keys(want)) {
			all = append(all, key+"="+want[key])
		}
		if got := l.all(t); !slices.Equal(got, all) {
			rt.Fatalf("got %q, want %q", got, all)
		}
	})
}
