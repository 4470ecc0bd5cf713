package device

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
)

// journalFile is where what was received is kept.
const journalFile = "received.journal"

const (
	// compactAbove is the size in bytes from which a journal is written anew,
	// if that makes it half as large.
	compactAbove = 8 << 20
	// maxWaiting and maxWaitingBytes bound what waits for apps that have not
	// registered since the process began. The oldest gives way.
	maxWaiting      = 1000
	maxWaitingBytes = 4 << 20
)

// maxJournalBytes bounds the journal that is read: one that is about to be
// written anew, with what came meanwhile.
const maxJournalBytes = 4 * (compactAbove + maxWaitingBytes)

// journal is what was received: on the disk before the courier has the receipt
// for it, and until its app has it. Without a folder it keeps nothing.
//
// What arrives while the disk is busy is written together, and waits for the
// disk together. What was handed is noted without waiting: a process that is
// killed loses no note, a machine that loses power those since the last
// notification.
type journal struct {
	folder folder
	log    *slog.Logger

	mu       sync.Mutex
	file     *os.File             // nil unless open; replaced and synced by its committer alone; guarded by mu
	size     int64                // of file; guarded by mu
	synced   int64                // how much of it is on the disk; guarded by mu
	broken   error                // a note that could not be written; guarded by mu
	last     uint64               // sequence number; guarded by mu
	history  history              // what is on the disk of it, where there is one; guarded by mu
	unhanded map[uint64]*unhanded // guarded by mu
	waiting  int                  // of unhanded; guarded by mu
	bytes    int                  // of those; guarded by mu
}

func newJournal(f folder, log *slog.Logger) *journal {
	return &journal{folder: f, log: log, history: newHistory(), unhanded: make(map[uint64]*unhanded)}
}

// loadJournal reads the journal. It changes nothing on the disk.
func (f folder) loadJournal(log *slog.Logger) (*journal, error) {
	j := newJournal(f, log)
	data, err := f.readUpTo(journalFile, maxJournalBytes)
	if err != nil || data == nil {
		return j, err
	}
	c, err := parseJournal(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; to go on without what was received, move it away: what was not handed to its app is lost with it",
			f.path(journalFile), err)
	}
	j.last = c.last
	for _, r := range c.history {
		j.history.add(r.entry, time.Unix(int64(r.at), 0))
	}
	for _, u := range c.unhanded {
		u.frame = slices.Clone(u.frame) // not to keep all of data
		j.unhanded[u.sequence] = u
		j.waiting++
		j.bytes += len(u.frame)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.bound(nil)
	return j, nil
}

// open makes the journal ready for writing. It is written anew, so that nothing
// of a torn end remains.
func (j *journal) open() error {
	if j.folder.dir == "" {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = nil
	return j.rewrite()
}

// close waits for the disk.
func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return j.broken
	}
	err := errors.Join(j.broken, j.file.Sync(), j.file.Close())
	j.file = nil
	if err != nil {
		return &folderError{fmt.Errorf("writing %s: %w", j.folder.path(journalFile), err)}
	}
	return nil
}

// has reports whether a notification was received before.
func (j *journal) has(e historyEntry, now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.history.has(e, now)
}

// commit puts what was received on the disk, and gives each its sequence
// number. An error is a *folderError; nothing of it may then be acknowledged or
// handed.
func (j *journal) commit(all []*received) error {
	if len(all) == 0 {
		return nil
	}
	j.mu.Lock()
	if j.folder.dir == "" {
		defer j.mu.Unlock()
		for _, r := range all {
			j.history.add(r.entry, r.notification.ReceivedAt)
		}
		return nil
	}
	if err := errors.Join(j.broken, j.unopened()); err != nil {
		j.mu.Unlock()
		return &folderError{fmt.Errorf("writing %s: %w", j.folder.path(journalFile), err)}
	}
	b := appendSynced(nil, j.synced)
	batch := make([]*unhanded, 0, len(all))
	for i, r := range all {
		u := &unhanded{
			sequence: j.last + uint64(i) + 1, //nolint:gosec // an index
			at:       r.notification.ReceivedAt, entry: r.entry, frame: r.source.Append(nil),
		}
		b, batch = u.append(b), append(batch, u)
	}
	file := j.file
	err := j.write(b)
	size := j.size
	j.mu.Unlock()
	if err == nil {
		err = file.Sync()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		// What the file holds now is not known. The next open writes it anew,
		// without these.
		j.file = nil
		return &folderError{fmt.Errorf("writing %s: %w", j.folder.path(journalFile), errors.Join(err, file.Close()))}
	}
	j.synced = size
	for i, u := range batch {
		all[i].sequence = u.sequence
		j.last, j.unhanded[u.sequence] = u.sequence, u
		j.history.add(u.entry, u.at)
	}
	if j.size > compactAbove && j.size > 2*j.least() {
		if err := j.rewrite(); err != nil {
			return err
		}
	}
	return nil
}

// unopened is an error if there is no file. The caller holds mu.
func (j *journal) unopened() error {
	if j.file == nil {
		return os.ErrClosed
	}
	return nil
}

// write appends to the file. The caller holds mu.
func (j *journal) write(b []byte) error {
	n, err := j.file.Write(b)
	j.size += int64(n)
	return err
}

// least is about what the size of a journal written anew is. The caller holds mu.
func (j *journal) least() int64 {
	n := int64(len(j.history.ring) * (recordHeaderBytes + rememberedBytes))
	for _, u := range j.unhanded {
		n += int64(len(u.frame) + receivedBytes + recordHeaderBytes)
	}
	return n
}

// rewrite replaces the file by one that has what is to be kept alone. After a
// crash there is the old one or the new one. The caller holds mu.
func (j *journal) rewrite() error {
	if err := j.replace(); err != nil {
		return &folderError{fmt.Errorf("writing %s: %w", j.folder.path(journalFile), err)}
	}
	return nil
}

func (j *journal) replace() (err error) {
	part := j.folder.path(journalFile + partSuffix)
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close() // the error is reported already
		}
	}()
	b := []byte(journalMagic)
	of := make(map[historyEntry]bool, len(j.unhanded))
	for _, u := range j.unhanded {
		of[u.entry] = true
	}
	for _, r := range j.history.entries(time.Now()) {
		if !of[r.entry] { // those are in their records
			b = r.append(b)
		}
	}
	for _, u := range j.inOrder(func(*unhanded) bool { return true }) {
		b = u.append(b)
		if u.done != 0 {
			b = appendHandled(b, u.sequence, u.done)
		}
	}
	if _, err = file.Write(b); err != nil {
		return err
	}
	if err = file.Sync(); err != nil {
		return err
	}
	if err = os.Rename(part, j.folder.path(journalFile)); err != nil {
		return err
	}
	if err = j.folder.sync(); err != nil {
		return err
	}
	if j.file != nil {
		_ = j.file.Close() // nobody reads it any more
	}
	j.file, j.size, j.synced = file, int64(len(b)), int64(len(b))
	return nil
}

// inOrder returns those that wanted accepts, the oldest first. The caller holds
// mu.
func (j *journal) inOrder(wanted func(*unhanded) bool) []*unhanded {
	var all []*unhanded
	for _, u := range j.unhanded {
		if wanted(u) {
			all = append(all, u)
		}
	}
	slices.SortFunc(all, func(a, b *unhanded) int {
		if a.sequence < b.sequence {
			return -1
		}
		return 1
	})
	return all
}

// note records what was done about a notification. If that can not be written
// the next commit fails.
func (j *journal) note(sequence uint64, done handling) {
	if j.folder.dir == "" {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.unhanded[sequence]
	if u == nil {
		return
	}
	u.done |= done
	if done&handed != 0 {
		j.forget(u)
	}
	j.noteWritten(sequence, done)
}

// noteWritten is note for the file alone. The caller holds mu.
func (j *journal) noteWritten(sequence uint64, done handling) {
	if j.file == nil || j.broken != nil {
		return
	}
	j.broken = j.write(appendHandled(nil, sequence, done))
}

// forget takes u out of memory. The caller holds mu.
func (j *journal) forget(u *unhanded) {
	delete(j.unhanded, u.sequence)
	if u.waits {
		j.waiting--
		j.bytes -= len(u.frame)
	}
}

// wait leaves a notification until its app registers.
func (j *journal) wait(sequence uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	u := j.unhanded[sequence]
	if u == nil || u.waits {
		return
	}
	u.waits = true
	j.waiting++
	j.bytes += len(u.frame)
	j.bound(j.noteWritten)
}

// bound lets go of what has waited longest where too much waits, and tells note.
// The caller holds mu.
func (j *journal) bound(note func(uint64, handling)) {
	if j.waiting <= maxWaiting && j.bytes <= maxWaitingBytes {
		return
	}
	lost := 0
	for _, u := range j.inOrder(func(u *unhanded) bool { return u.waits }) {
		if j.waiting <= maxWaiting && j.bytes <= maxWaitingBytes {
			break
		}
		j.forget(u)
		if note != nil {
			note(u.sequence, handed)
		}
		lost++
	}
	j.log.Warn("notifications waited for apps that do not register, and are let go", "count", lost)
}

// ready returns what waits and is to be handed now, the oldest first, and lets
// go of what is for no app. The registered function says which it is.
func (j *journal) ready(registered func(apns.TopicHash) (known, here bool)) []*unhanded {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.waiting == 0 {
		return nil
	}
	var ready []*unhanded
	for _, u := range j.inOrder(func(u *unhanded) bool { return u.waits }) {
		n, err := u.notification()
		known, here := registered(n.TopicHash)
		switch {
		case err != nil || !known: // what is no notification was refused at reading
			j.forget(u)
			j.noteWritten(u.sequence, handed)
		case here:
			ready = append(ready, u)
		}
	}
	return ready
}

// erase forgets everything, also on the disk. The journal must not be open.
func (j *journal) erase() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.history, j.unhanded, j.waiting, j.bytes = newHistory(), make(map[uint64]*unhanded), 0, 0
	return j.folder.remove(journalFile)
}

// readUpTo returns a file of at most limit bytes, nil if there is none or it is
// empty.
func (f folder) readUpTo(name string, limit int64) ([]byte, error) {
	if f.dir == "" {
		return nil, nil
	}
	file, err := os.Open(f.path(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", f.path(name), err)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s: more than %d bytes", f.path(name), limit)
	case len(data) == 0:
		return nil, nil
	}
	return data, nil
}
