package agent

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/heraldpush/herald/apns"
)

// journalFile is where the inbox is, in the folder of a device: a line for
// each thing that happened to it. It is not synced: what the process wrote
// outlives the process, however it ends, and most of it the end of the machine.
const journalFile = "inbox.jsonl"

const (
	// maxLine bounds a line, in bytes: no document is nearly so long.
	maxLine = 1 << 20
	// spareBytes is how much the journal may have that is of no use, beside as
	// much as is.
	spareBytes = 1 << 20
)

// entry is a line of the journal: a letter, a mark or an end.
type entry struct {
	Topic apns.Topic `json:"topic"`
	// Number, ID and Doc are a letter.
	Number uint64              `json:"number,omitempty"`
	ID     apns.NotificationID `json:"id,omitempty"`
	Doc    json.RawMessage     `json:"doc,omitempty"`
	// Given is the number of the latest letter that a reader was given.
	Given uint64 `json:"given,omitempty"`
	// Done is the number of the latest letter that a command was run for, if
	// Marked.
	Marked bool   `json:"marked,omitempty"`
	Done   uint64 `json:"done,omitempty"`
	// Last goes before the letters of an app, if their numbers do not begin
	// with 1: the number before them.
	Last uint64 `json:"last,omitempty"`
	// Gone says that the app was removed.
	Gone bool `json:"gone,omitempty"`
}

// journal is the file. Nil keeps nothing. It is guarded by the inbox's mu.
type journal struct {
	path    string
	file    *os.File
	written int64 // bytes in the file
	limit   int64 // at which it is written anew
}

// openInbox returns the inbox that a folder holds, with a journal there. Lines
// that cannot be read are passed over, and counted: a process that was killed
// may have left one. Where commands are run for letters it goes on after the
// last that one was run for, and where that is not known, after the last.
func openInbox(dir string, l limits, commands bool) (i *inbox, damaged int, err error) {
	i = newInbox(l)
	i.commands = commands
	path := filepath.Join(dir, journalFile)
	if damaged, err = i.replay(path); err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", path, err)
	}
	for _, b := range i.boxes {
		switch {
		case !commands:
			b.marked, b.done = false, 0
		case !b.marked:
			b.marked, b.done = true, b.last
		}
	}
	i.journal = &journal{path: path}
	if err := i.journal.rewrite(i); err != nil {
		return nil, 0, err
	}
	return i, damaged, nil
}

// replay does what a journal says.
func (i *inbox) replay(path string) (damaged int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewReaderSize(f, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // no line of ours: to its end
			damaged++
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
			if err == nil {
				continue
			}
		case err == nil:
			var e entry
			if json.Unmarshal(line, &e) != nil || !i.apply(e) {
				damaged++
			}
			continue
		case len(line) > 0: // without an end
			damaged++
		}
		if errors.Is(err, io.EOF) {
			return damaged, nil
		}
		return damaged, err
	}
}

// apply does what an entry says, and reports whether it can be.
func (i *inbox) apply(e entry) bool {
	if !e.Topic.Valid() {
		return false
	}
	if e.Gone {
		if b := i.boxes[e.Topic]; b != nil {
			i.bytes -= b.bytes
			delete(i.boxes, e.Topic)
		}
		return true
	}
	b := i.box(e.Topic)
	switch {
	case e.Number != 0:
		if e.Number != b.last+1 || len(e.Doc) == 0 || e.ID == "" {
			return false
		}
		i.put(b, e.Number, e.ID, bytes.Clone(e.Doc))
	case e.Given != 0:
		if e.Given > b.last {
			return false
		}
		b.given = max(b.given, e.Given)
	case e.Marked:
		if e.Done > b.last {
			return false
		}
		b.marked, b.done = true, max(b.done, e.Done)
	case e.Last != 0:
		if b.last != 0 {
			return false
		}
		b.last = e.Last
	default:
		return false
	}
	return true
}

// write adds an entry, and writes the file anew when too much of it is of no
// use. The caller holds mu of the inbox.
func (j *journal) write(i *inbox, e entry) error {
	if j == nil {
		return nil
	}
	line, err := e.line()
	if err != nil {
		return err
	}
	if j.file == nil { // it could not be opened again
		return j.rewrite(i)
	}
	n, err := j.file.Write(line)
	j.written += int64(n)
	if err != nil {
		j.limit = 0 // the next mends what this one left
		return fmt.Errorf("writing %s: %w", j.path, err)
	}
	if j.written > j.limit {
		return j.rewrite(i)
	}
	return nil
}

func (e entry) line() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a document stays as it is
	err := enc.Encode(e)
	return b.Bytes(), err
}

// rewrite writes the file anew, with what the inbox has.
func (j *journal) rewrite(i *inbox) error {
	var text bytes.Buffer
	for _, e := range i.entries() {
		line, err := e.line()
		if err != nil {
			return err
		}
		text.Write(line)
	}
	// Some systems replace no file that is open.
	err := errors.Join(j.close(), replaceBy(j.path, text.Bytes(), func(*os.File) error { return nil }))
	f, opened := os.OpenFile(j.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, fileMode)
	if opened != nil {
		return errors.Join(err, opened)
	}
	j.file, j.written, j.limit = f, int64(text.Len()), 2*int64(text.Len())+spareBytes
	if err != nil {
		j.limit = 0 // the old one is in use, until the next attempt
	}
	return err
}

// entries returns what makes an inbox like i: the letters in their order, as
// that is the order in which they are to be dropped.
func (i *inbox) entries() (all []entry) {
	type place struct {
		order uint64
		entry entry
	}
	var places []place
	for topic, b := range i.boxes {
		if from := b.from(); from > 1 {
			all = append(all, entry{Topic: topic, Last: from - 1})
		}
		for _, l := range b.letters {
			places = append(places, place{l.order, entry{Topic: topic, Number: l.number, ID: l.id, Doc: l.doc}})
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.order, b.order) })
	for _, p := range places {
		all = append(all, p.entry)
	}
	for topic, b := range i.boxes {
		if b.marked {
			all = append(all, entry{Topic: topic, Marked: true, Done: b.done})
		}
		if b.given > 0 {
			all = append(all, entry{Topic: topic, Given: b.given})
		}
	}
	return all
}

// close closes the file. The caller holds mu of the inbox, or is the last.
func (j *journal) close() error {
	if j == nil || j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}
