package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	sqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// maxBatch bounds the changes of one transaction, so that the first of them
// has its answer soon.
const maxBatch = 512

// errUnfinished is for a change whose function never returned.
var errUnfinished = errors.New("the change did not return")

// writer has the connection that changes the database. Those who change it
// take turns on it: each runs on its own goroutine, and the writer's begins
// and ends their transactions.
type writer struct {
	path string
	// conn is used by who has the turn, and between turns by run.
	conn *sql.Conn

	begin, commit, abort         *sql.Stmt
	savepoint, release, takeBack *sql.Stmt

	jobs    chan *job     // not buffered: who was not received can leave
	stop    chan struct{} // closed by close
	stopped chan struct{} // closed when run has returned
	closing sync.Once
}

// job is a change that waits for its turn. Each channel has room for its one
// value, so that nobody waits for who has gone.
type job struct {
	turn chan error // to the change: nil when it is its turn
	ran  chan error // from the change: what it returned
	done chan error // to the change: what became of it
	err  error      // what ran gave; for run alone
}

func newWriter(path string, conn *sql.Conn, p *preparer) *writer {
	return &writer{
		path: path, conn: conn,
		begin: p.stmt("BEGIN IMMEDIATE"), commit: p.stmt("COMMIT"), abort: p.stmt("ROLLBACK"),
		savepoint: p.stmt("SAVEPOINT one"), release: p.stmt("RELEASE one"), takeBack: p.stmt("ROLLBACK TO one"),
		jobs: make(chan *job), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// change calls f, which may use the statements of w, alone, and returns when
// what f did is durable, or undone as f returned an error or did not return
// at all. A ctx that ends before the turn of f ends the waiting; statements are
// not cut off by it, as that would end the transaction of others too.
func (w *writer) change(ctx context.Context, f func(ctx context.Context) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{turn: make(chan error, 1), ran: make(chan error, 1), done: make(chan error, 1)}
	select {
	case <-w.stop:
		return fault(w.path, ErrClosed)
	default:
	}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return fault(w.path, ErrClosed)
	}
	if err := <-j.turn; err != nil {
		return err
	}
	ran := errUnfinished
	defer func() { // in a panic of f, too, which then goes on
		j.ran <- ran
		err = <-j.done
	}()
	ran = f(context.WithoutCancel(ctx))
	return ran
}

// run gives turns until it is told to stop.
func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case j := <-w.jobs:
			w.batch(j)
		case <-w.stop:
			return
		}
	}
}

// close stops run, and waits for the changes it has begun.
func (w *writer) close() {
	w.closing.Do(func() { close(w.stop) })
	<-w.stopped
}

// batch gives a turn to first and all who wait, and makes durable what they
// did. Nobody is answered before: an error, too, may come of what another
// change of the batch did.
func (w *writer) batch(first *job) {
	if err := run(w.begin); err != nil {
		first.turn <- fault(w.path, fmt.Errorf("beginning transaction: %w", err))
		return
	}
	jobs := []*job{first}
	lost := w.firstTurn(first)
	for lost == nil && len(jobs) < maxBatch {
		next := w.waiting()
		if next == nil {
			break
		}
		jobs = append(jobs, next)
		lost = w.turn(next)
	}
	if lost == nil {
		lost = run(w.commit)
	}
	if lost != nil {
		lost = fault(w.path, fmt.Errorf("transaction was lost: %w", errors.Join(lost, w.rollback())))
	}
	for _, j := range jobs {
		if lost != nil {
			j.done <- lost
		} else {
			j.done <- j.err
		}
	}
}

// waiting returns who waits for a turn, or nil.
func (w *writer) waiting() *job {
	select {
	case j := <-w.jobs:
		return j
	default:
		return nil
	}
}

// firstTurn lets the first change of a transaction run, as turn does. There is
// nothing before it that must stay, so it needs no savepoint: with one, SQLite would copy
// each page that the change is the first to touch.
func (w *writer) firstTurn(j *job) error {
	j.turn <- nil
	if j.err = <-j.ran; j.err == nil {
		return nil
	}
	if err := w.rollback(); err != nil {
		return errors.Join(j.err, err)
	}
	if err := run(w.begin); err != nil {
		return errors.Join(j.err, err)
	}
	return nil
}

// turn lets a change run. The error says that the transaction is lost, with
// all changes in it.
func (w *writer) turn(j *job) error {
	if err := run(w.savepoint); err != nil {
		j.turn <- fault(w.path, err)
		return err
	}
	j.turn <- nil
	if j.err = <-j.ran; j.err != nil {
		if err := run(w.takeBack); err != nil {
			return errors.Join(j.err, err) // the first says why
		}
	}
	return run(w.release)
}

// rollback ends the transaction, which SQLite has done itself after errors
// that are grave enough.
func (w *writer) rollback() error {
	err := run(w.abort)
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == lib.SQLITE_ERROR {
		return nil // there is none
	}
	return err
}

// run runs a statement that is not to be interrupted.
func run(s *sql.Stmt) error {
	_, err := s.ExecContext(context.Background())
	return err
}

// preparer prepares statements until one fails, for a list of them without an
// if after each.
type preparer struct {
	prepare func(ctx context.Context, query string) (*sql.Stmt, error)
	ctx     context.Context //nolint:containedctx // of the one call that makes it
	all     []*sql.Stmt
	err     error
}

func (p *preparer) stmt(query string) *sql.Stmt {
	if p.err != nil {
		return nil
	}
	s, err := p.prepare(p.ctx, query)
	if err != nil {
		p.err = fmt.Errorf("preparing %q: %w", query, err)
		return nil
	}
	p.all = append(p.all, s)
	return s
}
