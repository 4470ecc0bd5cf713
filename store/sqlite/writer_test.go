package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/heraldpush/herald/portal"
)

// TestCrashWithinUpdate opens the files as they are while a change is being
// made: what was before is there, and nothing of the change.
func TestCrashWithinUpdate(t *testing.T) {
	d := open(t, newPath(t))
	put(t, d, "a", "1")
	var copied string
	err := d.Portal().Update(t.Context(), func(tx portal.Tx) error {
		for i := range 100 { // more than SQLite keeps in memory
			if err := tx.Put("big", fmt.Sprint(i), make([]byte, 64<<10)); err != nil {
				return err
			}
		}
		err := tx.Put("app", "a", []byte("2"))
		copied = copyFiles(t, d.path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	crashed := open(t, copied)
	if got := read(t, crashed, "app", "a"); got != "1" {
		t.Errorf("got %s, want what was there before the change", got)
	}
	if got := count(t, crashed, "big"); got != 0 {
		t.Errorf("got %d records of a change that did not end", got)
	}
	if got := read(t, d, "app", "a"); got != "2" {
		t.Errorf("in the database that went on: got %s, want 2", got)
	}
}

func put(t *testing.T, d *Database, id, body string) {
	t.Helper()
	err := d.Portal().Update(t.Context(), func(tx portal.Tx) error { return tx.Put("app", id, []byte(body)) })
	if err != nil {
		t.Fatal(err)
	}
}

// TestBatch proves that changes that wait are done in one transaction, and
// that one that fails, panics or ends its goroutine is taken back alone.
func TestBatch(t *testing.T) {
	d := open(t, newPath(t))
	refused := errors.New("refused")
	const n = 40
	var (
		changing sync.WaitGroup
		errs     [n]error
	)
	err := d.Portal().Update(t.Context(), func(first portal.Tx) error {
		for i := range n {
			changing.Go(func() {
				defer func() { _ = recover() }()
				errs[i] = errUnfinished
				errs[i] = d.Portal().Update(t.Context(), func(tx portal.Tx) error {
					err := tx.Put("app", fmt.Sprint(i), []byte(`1`))
					switch i % 4 {
					case 1:
						return refused
					case 2:
						panic(refused)
					case 3:
						runtime.Goexit()
					}
					return err
				})
			})
		}
		return first.Put("app", "first", []byte(`1`))
	})
	if err != nil {
		t.Fatal(err)
	}
	changing.Wait()
	for i, err := range errs {
		want := []error{nil, refused, errUnfinished, errUnfinished}[i%4]
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("change %d: got %v, want %v", i, err, want)
		}
	}
	if got, want := count(t, d, "app"), n/4+1; got != want {
		t.Errorf("got %d records, want %d", got, want)
	}
}

// TestBatchFirstFails proves that the first change of a transaction, which has no
// savepoint, is taken back too, and those after it are not.
func TestBatchFirstFails(t *testing.T) {
	d := open(t, newPath(t))
	refused := errors.New("refused")
	const n = 10
	var changing sync.WaitGroup
	err := d.Portal().Update(t.Context(), func(first portal.Tx) error {
		for i := range n {
			changing.Go(func() {
				err := d.Portal().Update(t.Context(), func(tx portal.Tx) error { return tx.Put("app", fmt.Sprint(i), []byte(`1`)) })
				if err != nil {
					t.Error(err)
				}
			})
		}
		return errors.Join(first.Put("app", "first", []byte(`1`)), refused)
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
	changing.Wait()
	if got := count(t, d, "app"); got != n {
		t.Errorf("got %d records, want the %d of those that did not fail", got, n)
	}
}

// TestFull proves that a change for which there is no room is refused by
// name, and that the database goes on.
func TestFull(t *testing.T) {
	d := open(t, newPath(t))
	put(t, d, "a", "1")
	limit := func(pages int) {
		err := d.writer.change(t.Context(), func(ctx context.Context) error {
			var n int
			return d.writer.conn.QueryRowContext(ctx, fmt.Sprintf("PRAGMA max_page_count=%d", pages)).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // which it takes as: no more than now
	err := d.Portal().Update(t.Context(), func(tx portal.Tx) error {
		return errors.Join(tx.Put("app", "a", []byte(`2`)), tx.Put("app", "b", make([]byte, 1<<20)))
	})
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), d.path) {
		t.Errorf("got %v, want %v and the name of the file", err, ErrFull)
	}
	if got := read(t, d, "app", "a"); got != "1" {
		t.Errorf("after a change that had no room: got %s, want 1", got)
	}
	limit(1 << 30)
	put(t, d, "a", "3")
	if got := read(t, d, "app", "a"); got != "3" {
		t.Errorf("after there was room: got %s, want 3", got)
	}
}

// TestLostTransaction proves that a change that looks over an error which ended
// its transaction is not taken as done.
func TestLostTransaction(t *testing.T) {
	d := open(t, newPath(t))
	err := d.Portal().Update(t.Context(), func(tx portal.Tx) error {
		if err := tx.Put("app", "a", []byte(`1`)); err != nil {
			return err
		}
		return run(d.writer.abort) // as SQLite does
	})
	if err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("got %v, want an error that says that the transaction was lost", err)
	}
	put(t, d, "b", "1")
	if got := count(t, d, "app"); got != 1 {
		t.Errorf("got %d records, want the second alone", got)
	}
}

// TestCancelled proves that a context that ends within a change ends it alone,
// and one that ends before its turn keeps it from beginning.
func TestCancelled(t *testing.T) {
	d := open(t, newPath(t))
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	err := d.Portal().Update(ctx, func(tx portal.Tx) error {
		go func() {
			waiting <- d.Portal().Update(ctx, func(portal.Tx) error { return errors.New("it was called") })
		}()
		if err := tx.Put("app", "a", []byte(`1`)); err != nil {
			return err
		}
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("before its turn: got %v, want %v", err, context.Canceled)
		}
		return tx.Put("app", "b", []byte(`1`))
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("within a change: got %v, want %v", err, context.Canceled)
	}
	err = d.Portal().View(t.Context(), func(tx portal.Tx) error {
		_, err := tx.Get("app", "a")
		return err
	})
	if !errors.Is(err, portal.ErrNotFound) {
		t.Errorf("got %v, want %v: the change was cancelled", err, portal.ErrNotFound)
	}
	put(t, d, "a", "2")
}

// TestTxIsOver proves that a transaction is of no use after its function.
func TestTxIsOver(t *testing.T) {
	d := open(t, newPath(t))
	for name, begin := range map[string]func(context.Context, func(portal.Tx) error) error{
		"Update": d.Portal().Update, "View": d.Portal().View,
	} {
		var kept portal.Tx
		if err := begin(t.Context(), func(tx portal.Tx) error { kept = tx; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := kept.Put("app", "a", []byte(`1`)); err == nil {
			t.Errorf("%s: Put after the end succeeded", name)
		}
		if _, err := kept.Get("app", "a"); err == nil || errors.Is(err, portal.ErrNotFound) {
			t.Errorf("%s: Get after the end: got %v, want that it is over", name, err)
		}
	}
}

func TestClosed(t *testing.T) {
	d := open(t, newPath(t))
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(portal.Tx) error { return nil }
	if err := d.Portal().Update(t.Context(), nothing); !errors.Is(err, ErrClosed) {
		t.Errorf("Update: got %v, want %v", err, ErrClosed)
	}
	if err := d.Portal().View(t.Context(), nothing); err == nil {
		t.Error("View of a closed database succeeded")
	}
}
