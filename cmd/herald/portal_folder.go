package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/portal"
)

// openPlatformFolder opens the portal of a folder, for this process alone. The
// error is folder.ErrInUse if another has it open.
func openPlatformFolder(ctx context.Context, dir string) (*portal.Portal, *folder.Folder, error) {
	f, err := folder.Open(ctx, dir, folder.MadeByPortal, folder.MadeByDev)
	if err != nil {
		return nil, nil, err
	}
	p, err := f.Portal(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return p, f, nil
}

// lockWait is how long to wait for another herald that works on the folder
// and serves nobody: one of these verbs, or a platform that is starting.
const (
	lockWait  = 5 * time.Second
	lockRetry = 50 * time.Millisecond
)

// openFolderOrRun returns the portal of a folder: itself if nobody has it
// open, else through the platform that does.
func openFolderOrRun(ctx context.Context, dir string) (admin.Target, func() error, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, fmt.Errorf("%s: another herald works on it, and serves nobody", dir))
	defer cancel()
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for {
		p, f, err := openPlatformFolder(ctx, dir)
		if err == nil {
			return admin.Local(p), f.Close, nil
		}
		if !errors.Is(err, folder.ErrInUse) {
			return nil, nil, err
		}
		if r, err := folder.ReadRun(dir); err == nil { // not yet there, or no more
			at, err := admin.Remote(admin.RemoteConfig{URL: r.URL, Key: r.AdminKey, ThisMachine: true})
			return at, func() error { return nil }, err
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

// createPlatformFolder makes a folder with a portal: a new one, or that of a
// backup if there is one. The root certificate is in a file of that name. What
// was made is taken back after an error.
func createPlatformFolder(ctx context.Context, dir, rootFile string, backup io.Reader) (_ *portal.Portal, err error) {
	f, err := folder.Create(ctx, dir, folder.MadeByPortal)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if backup != nil {
		if err := portal.Restore(ctx, f.PortalStore(), f.Sealer(), backup); err != nil {
			return nil, f.Explain(err)
		}
	}
	p, err := f.Portal(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.Write(rootFile, p.RootPEM(), public); err != nil {
		return nil, err
	}
	return p, f.Finish()
}
