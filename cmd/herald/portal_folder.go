package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/store/memory"
)

// The files of a platform's folder that the portal's verbs know.
const (
	markName   = "herald.json" // folderMark
	lockName   = "lock"
	portalName = "portal.json"
	runName    = "run.json" // runRecord; there while a platform runs
)

// folderMark says whose folder it is.
type folderMark struct {
	Format int    `json:"format"`
	Made   string `json:"made_by"`
}

// folderFormat is the version of a folder's content.
const folderFormat = 1

// makers are the verbs whose folders hold a portal.
var makers = []string{"herald portal", "herald dev"}

// runRecord is what a running platform says of itself, for the verbs beside
// it.
type runRecord struct {
	URL string `json:"url"`
	Key string `json:"admin_key"`
}

// errFolderLocked says that another herald has the folder open.
var errFolderLocked = errors.New("another herald works on it")

// isPlatformFolder reports whether a folder looks like a platform's.
func isPlatformFolder(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, markName))
	return err == nil
}

// checkMark checks that a folder is a platform's, and of this version.
func checkMark(dir string) error {
	b, err := readSmallFile(filepath.Join(dir, markName))
	if err != nil {
		return withHint(fmt.Errorf("%s is not a platform's folder: %w", dir, err), "herald portal init --dir DIR makes one.")
	}
	var m folderMark
	if json.Unmarshal(b, &m) != nil || !slices.Contains(makers, m.Made) {
		return fmt.Errorf("%s: %s there is not one of herald", dir, markName)
	}
	if m.Format != folderFormat {
		return fmt.Errorf("%s is of another version of herald (format %d, this one has %d)", dir, m.Format, folderFormat)
	}
	return nil
}

// openPlatformFolder opens the portal of a folder, for this process alone. The
// error is errFolderLocked if another has it open.
func openPlatformFolder(ctx context.Context, dir string) (*portal.Portal, func() error, error) {
	if err := checkMark(dir); err != nil {
		return nil, nil, err
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	if err != nil {
		return nil, nil, err
	}
	p, err := openPortalIn(ctx, dir)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return p, lock.Close, nil
}

func openPortalIn(ctx context.Context, dir string) (*portal.Portal, error) {
	s, err := memory.OpenPortal(filepath.Join(dir, portalName))
	if err != nil {
		return nil, err
	}
	return portal.Open(ctx, portal.Config{Store: s})
}

// createPlatformFolder makes a folder, with the portal of a backup if there is
// one, and opens it. The folder is new or empty. What was made is taken back
// after an error.
func createPlatformFolder(ctx context.Context, dir string, backup []byte) (_ *portal.Portal, _ func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			for _, name := range []string{markName, portalName, lockName} {
				if gone := os.Remove(filepath.Join(dir, name)); gone != nil && !errors.Is(gone, os.ErrNotExist) {
					err = errors.Join(err, gone)
				}
			}
			err = errors.Join(err, lock.Close())
		}
	}()
	if backup != nil {
		s, err := memory.OpenPortal(filepath.Join(dir, portalName))
		if err != nil {
			return nil, nil, err
		}
		if err := portal.Restore(ctx, s, unsealed{}, bytes.NewReader(backup)); err != nil {
			return nil, nil, err
		}
	}
	p, err := openPortalIn(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	mark, err := json.MarshalIndent(folderMark{Format: folderFormat, Made: makers[0]}, "", "\t")
	if err != nil {
		return nil, nil, err
	}
	// Last: a folder without it is not a platform's.
	if err := writeFile(filepath.Join(dir, markName), append(mark, '\n'), private, false); err != nil {
		return nil, nil, err
	}
	return p, lock.Close, nil
}

// runningPlatform returns what the platform that runs on a folder says of
// itself there, if one does.
func runningPlatform(dir string) (r runRecord, ok bool) {
	b, err := readSmallFile(filepath.Join(dir, runName))
	return r, err == nil && json.Unmarshal(b, &r) == nil && r.URL != ""
}
