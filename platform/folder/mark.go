package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Format is the version of what is in a folder. One of another version is
// refused.
const Format = 2

// maxMark bounds what is read of herald.json and run.json, in bytes.
const maxMark = 1 << 20

// Maker says by what a folder was made, such as "herald dev".
type Maker string

// The makers.
const (
	MadeByPortal   Maker = "herald portal"
	MadeByDev      Maker = "herald dev"
	MadeByProvider Maker = "herald provider"
)

// noun says whose a folder is.
func (m Maker) noun() string {
	if m == MadeByProvider {
		return "a provider's folder"
	}
	return "a platform's folder"
}

// makes says how such a folder comes about.
func (m Maker) makes() string {
	if m == MadeByProvider {
		return "herald provider serve --dir DIR makes one."
	}
	return "herald portal init --dir DIR makes one."
}

// mark is herald.json.
type mark struct {
	Format int   `json:"format"`
	MadeBy Maker `json:"made_by"`
	// Kept is what the maker keeps: see Keep.
	Kept json.RawMessage `json:"kept,omitempty"`
}

// Exists reports whether there is a platform's folder at dir, of whatever
// version, finished.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, markFile))
	return err == nil
}

// readMark checks that the folder is of one of the makers, and of this version.
func (f *Folder) readMark(makers []Maker) error {
	f.mark = mark{MadeBy: makers[0]} // as which it is missed
	b, err := readSmall(f.Path(markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f.missing()
	}
	if err != nil {
		return f.Explain(err)
	}
	var found mark
	known := json.Unmarshal(b, &found) == nil
	if known && !slices.Contains(makers, found.MadeBy) {
		if err := f.refuseOther(found.MadeBy); err != nil {
			return err
		}
	}
	if !known || !slices.Contains(makers, found.MadeBy) {
		return f.refuse(nil, elsewhere, "%s there is not one of %s", markFile, list(makers))
	}
	f.mark = found
	if f.mark.Format == Format {
		return nil
	}
	remedy := "use the version of herald that made it, or a later one."
	if f.mark.Format < Format && f.mark.MadeBy != MadeByProvider {
		remedy = "the version of herald that made it moves a portal: herald portal backup there, herald portal restore here. " +
			"What herald dev made, it makes again in another folder."
	}
	return f.refuse(nil, remedy, "it is of another version of herald (format %d, this one has %d)", f.mark.Format, Format)
}

// refuseOther says whose a folder is that another made, if that is known.
func (f *Folder) refuseOther(maker Maker) error {
	switch {
	case maker == MadeByProvider:
		return f.refuse(nil, "herald provider serve runs it; give --dir another folder here.", "it is a provider's, made by herald provider serve")
	case f.mark.MadeBy == MadeByProvider && (maker == MadeByPortal || maker == MadeByDev):
		return f.refuse(nil, "give the provider a folder of its own, empty or not there yet.", "it is a platform's, made by %s", maker)
	case maker == MadeByPortal:
		return f.refuse(nil, "give herald dev a folder of its own: herald portal --dir works on that one, too.", "it is a portal's, made by herald portal init")
	}
	return nil
}

// missing says why a folder without herald.json is none.
func (f *Folder) missing() error {
	makes, noun := f.mark.MadeBy.makes(), f.mark.MadeBy.noun()
	if _, err := os.Stat(f.Path(unfinishedFile)); err == nil {
		return f.refuse(fs.ErrNotExist, makes, "it is not %s: its making was cut short", noun)
	}
	for _, name := range []string{databaseFile, keyFile} {
		if _, err := os.Stat(f.Path(name)); err == nil {
			return f.refuse(nil, f.putBack(markFile), "%s is missing, and %s is there", markFile, name)
		}
	}
	return f.refuse(fs.ErrNotExist, makes, "it is not %s", noun)
}

// list names the makers whose folders are taken.
func list(makers []Maker) string {
	names := make([]string, len(makers))
	for i, m := range makers {
		names[i] = string(m)
	}
	return strings.Join(names, " or ")
}

// Keep keeps what the maker must know the next time, as JSON in herald.json, in
// place of what it kept before. In a folder that is not finished, it is written
// by Finish.
func (f *Folder) Keep(v any) error {
	kept, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", markFile, err)
	}
	f.mark.Kept = kept
	if f.making != nil {
		return nil
	}
	return f.writeMark()
}

// Kept reads into v what was kept. It leaves v as it is if nothing was.
func (f *Folder) Kept(v any) error {
	if f.mark.Kept == nil {
		return nil
	}
	if err := json.Unmarshal(f.mark.Kept, v); err != nil {
		return f.refuse(err, f.putBack(markFile), "%s is damaged: %v", markFile, err)
	}
	return nil
}

func (f *Folder) writeMark() error { return f.writeJSON(markFile, f.mark) }

// readSmall reads a file of ours.
func readSmall(path string) (_ []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	b, err := io.ReadAll(io.LimitReader(file, maxMark+1))
	if err == nil && len(b) > maxMark {
		err = fmt.Errorf("%s has more than %d bytes", path, maxMark)
	}
	return b, err
}
