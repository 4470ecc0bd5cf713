package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/portal"
)

// portalCmd is the portal: what Apple's developer portal does in a browser.
type portalCmd struct {
	Init      portalInitCmd      `cmd:"" help:"Make a folder with a portal and its certificate authority."`
	Team      portalTeamCmd      `cmd:"" help:"Teams: add, list."`
	App       portalAppCmd       `cmd:"" help:"App IDs: add, list, show, broadcast."`
	Cert      portalCertCmd      `cmd:"" help:"Push certificates: issue, list, show, download, revoke."`
	Key       portalKeyCmd       `cmd:"" help:"Signing keys (.p8): new, list, revoke."`
	Device    portalDeviceCmd    `cmd:"" help:"Devices and their enrolment codes: enrol, codes, withdraw, sign, list, revoke."`
	CRL       portalCRLCmd       `cmd:"" name:"crl" help:"Write the list of revoked certificates, signed, good for a day."`
	Authority portalAuthorityCmd `cmd:"" help:"Show the certificates of the authority, or write the root."`
	Audit     portalAuditCmd     `cmd:"" help:"Show the audit log: who did what, when."`
	Backup    portalBackupCmd    `cmd:"" help:"Write everything the portal has into one encrypted file."`
	Restore   portalRestoreCmd   `cmd:"" help:"Make a folder from a backup."`
}

// Help says more than the line in the list of verbs.
func (portalCmd) Help() string {
	return `The verbs work on a platform's folder (--dir), through the platform that runs
on it if one does, or on a platform elsewhere (--server), whose API key is
read from --api-key-file or HERALD_API_KEY.

Exit status: 0 done, 1 something is wrong, 2 usage, 3 a file or passphrase
cannot be read, 4 the portal refuses.`
}

// withRemedy adds to an error what can be done about it, if that is known.
func withRemedy(err error) error {
	if p, ok := errors.AsType[*admin.Problem](err); ok && p.Hint != "" {
		return withHint(err, "%s", p.Hint)
	}
	if r, ok := errors.AsType[*portal.Refusal](err); ok {
		err = fmt.Errorf("%s: %w", r.Code, r)
		if r.Hint != "" {
			return withHint(err, "%s", r.Hint)
		}
	}
	if f, ok := errors.AsType[*folder.Error](err); ok && f.Remedy != "" {
		return withHint(err, "%s", f.Remedy)
	}
	if _, ok := errors.AsType[*admin.UnreachableError](err); ok {
		return withHint(err, "start the platform, or name its folder with --dir.")
	}
	if _, ok := errors.AsType[*admin.VersionError](err); ok {
		return withHint(err, "--server takes the URL of the platform's console; both must be of one version of herald.")
	}
	return err
}

// portalAt are the flags that say which portal.
type portalAt struct {
	printFlags
	Dir        string `placeholder:"DIR" xor:"at" help:"Folder of the platform. Without it, and without --server, the current folder if it is one."`
	Server     string `placeholder:"URL" xor:"at" help:"URL of a platform elsewhere, such as http://127.0.0.1:8030."`
	APIKeyFile string `name:"api-key-file" placeholder:"FILE" help:"File with the API key for --server. Without it, HERALD_API_KEY."`
	CAFile     string `name:"ca-file" placeholder:"FILE" help:"Certificates to trust for an https --server, PEM. Without it, the system's."`
}

// do calls f with the portal.
func (a portalAt) do(ctx context.Context, f func(context.Context, admin.Target) error) (err error) {
	at, release, err := a.open(ctx)
	if err != nil {
		return withRemedy(err)
	}
	defer func() { err = errors.Join(err, release()) }()
	return withRemedy(f(portal.WithActor(ctx, localActor()), at))
}

// again returns the flags that name the same portal in another command line.
func (a portalAt) again() string {
	switch {
	case a.Dir != "":
		return " --dir " + shellWord(a.Dir)
	case a.Server != "":
		return " --server " + shellWord(a.Server)
	}
	return ""
}

// localActor is what the audit log calls the one who runs this program.
func localActor() string {
	if u, err := user.Current(); err == nil {
		return "local user " + u.Username
	}
	return fmt.Sprintf("local user %d", os.Getuid())
}

// open returns the portal, and what to call when done with it.
func (a portalAt) open(ctx context.Context) (admin.Target, func() error, error) {
	if a.Server != "" {
		at, err := a.remote()
		return at, func() error { return nil }, err
	}
	dir := a.Dir
	if dir == "" {
		if !folder.Exists(".") {
			return nil, nil, withHint(usageError("the current folder is not a platform's"), "--dir DIR names one; herald portal init --dir DIR makes one.")
		}
		dir = "."
	}
	return openFolderOrRun(ctx, dir)
}

func (a portalAt) remote() (admin.Target, error) {
	key := os.Getenv("HERALD_API_KEY")
	if a.APIKeyFile != "" {
		b, err := readSmallFile(a.APIKeyFile)
		if err != nil {
			return nil, unreadable(err)
		}
		key = strings.TrimSpace(string(b))
	}
	if key == "" {
		return nil, withHint(usageError("--server needs the platform's API key"), "--api-key-file FILE or HERALD_API_KEY gives it.")
	}
	cfg := admin.RemoteConfig{URL: a.Server, Key: key}
	var err error
	if cfg.Roots, err = readRoots(a.CAFile); err != nil {
		return nil, err
	}
	at, err := admin.Remote(cfg)
	if err != nil {
		return nil, usageError("--server: %w", err)
	}
	return at, nil
}

// teamOf returns the team that is meant: the one given, or the only one.
func teamOf(ctx context.Context, at admin.Target, given string) (apns.TeamID, error) {
	if given != "" {
		return apns.TeamID(given), nil
	}
	teams, err := admin.All(ctx, at, admin.ListTeams, "")
	switch {
	case err != nil:
		return "", err
	case len(teams) == 0:
		return "", withHint(errors.New("there is no team yet"), "herald portal team add NAME enters one.")
	case len(teams) > 1:
		return "", withHint(usageError("there are %d teams, and --team says which", len(teams)), "herald portal team list shows them.")
	}
	return teams[0].ID, nil
}
