package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/heraldpush/herald/credential"
)

// input is a file that was read. Its mode is zero for standard input.
type input struct {
	credential.File
	path string
	mode fs.FileMode
}

// readInput reads a credential, or standard input if the name is "-": 1 MiB and
// one byte at most, so that whoever judges the content sees what is too large.
func readInput(name string) (in input, err error) {
	in.path, in.Name = name, name
	f := os.Stdin
	if name != "-" {
		if f, err = os.Open(name); err != nil {
			return in, unreadable(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return in, unreadable(err)
		}
		in.mode = info.Mode()
	}
	if in.Data, err = io.ReadAll(io.LimitReader(f, maxSmallFile+1)); err != nil {
		return in, unreadable(fmt.Errorf("reading %s: %w", name, err))
	}
	return in, nil
}

// exposed returns a warning if others than the owner can read the file, which
// holds a private key.
func (in input) exposed() []credential.Problem {
	const others = 0o044
	if in.mode.Perm()&others == 0 || !in.mode.IsRegular() || runtime.GOOS == "windows" { // where modes say nothing
		return nil
	}
	return []credential.Problem{credential.NewProblem(credential.WarnPermissions,
		fmt.Sprintf("%s can be read by others on this machine (mode %04o), and holds a private key.", plain(in.path), in.mode.Perm()))}
}

// is reports whether path is the file that was read.
func (in input) is(path string) bool {
	a, err := os.Stat(in.path)
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// output is a file to be written.
type output struct {
	path string
	data []byte
	mode fs.FileMode
	// note says in brackets what is worth knowing. It may be empty.
	note string
}

// String names the file with its note, for a list.
func (o output) String() string {
	if o.note == "" {
		return plain(o.path)
	}
	return fmt.Sprintf("%s (%s)", plain(o.path), o.note)
}

// writeOutputs writes all files, or none: each is written in full under another
// name in its folder before the first takes its place. Without force none may
// exist.
func writeOutputs(force bool, outputs ...output) (err error) {
	var begun []*newFile
	defer func() {
		for _, f := range begun {
			err = errors.Join(err, f.discard())
		}
	}()
	seen := make(map[string]bool)
	for _, o := range outputs {
		if path := filepath.Clean(o.path); seen[path] {
			return usageError("%s is to be two files at once", plain(path))
		}
		seen[filepath.Clean(o.path)] = true
		f, err := newFileAt(o.path, o.mode, force)
		if err != nil {
			return err
		}
		begun = append(begun, f)
		f.replace = force
		if err := f.mayBe(); err != nil {
			return err
		}
		if _, err := f.Write(o.data); err != nil {
			return fmt.Errorf("writing %s: %w", o.path, err)
		}
	}
	for i, f := range begun {
		if err := f.keep(); err != nil {
			return errors.Join(err, takeBack(force, outputs[:i]))
		}
	}
	return nil
}

// takeBack removes the files that were written before another could not be.
// Those that took another's place stay.
func takeBack(force bool, kept []output) (err error) {
	if force {
		return nil
	}
	for _, o := range kept {
		err = errors.Join(err, os.Remove(o.path))
	}
	return err
}

// wrote is the line that says which files were written.
func wrote(outputs []output) string {
	names := make([]string, 0, len(outputs))
	for _, o := range outputs {
		names = append(names, o.String())
	}
	return "Wrote " + strings.Join(names, ", ") + "\n"
}

// writtenFile is a file that was written, as JSON.
type writtenFile struct {
	File string `json:"file"`
	Note string `json:"note,omitempty"`
	Mode string `json:"mode"`
}

// writtenFiles is what verbs print as JSON of what they wrote.
func writtenFiles(outputs []output) []writtenFile {
	list := make([]writtenFile, 0, len(outputs))
	for _, o := range outputs {
		list = append(list, writtenFile{o.path, o.note, fmt.Sprintf("%04o", o.mode)})
	}
	return list
}

// shellWord quotes a name where a shell needs it.
func shellWord(s string) string {
	s = plain(s)
	isPlain := func(r rune) bool {
		return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("._-+@%/:", r)
	}
	if s != "" && strings.TrimFunc(s, isPlain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
