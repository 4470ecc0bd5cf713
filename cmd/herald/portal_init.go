package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/portal"
	"github.com/heraldpush/herald/store/memory"
)

// rootFile is where the root certificate is, in a platform's folder.
const rootFile = "ca.pem"

// portalInitCmd makes a folder with a portal.
type portalInitCmd struct {
	Dir  string `required:"" placeholder:"DIR" help:"Folder to make; it must not exist, or be empty."`
	Team string `placeholder:"NAME" help:"Enter a team of this name, too."`
	printFlags
}

// madeFolder is a new folder, as it is printed.
type madeFolder struct {
	Dir      string    `json:"dir"`
	Root     string    `json:"root"`
	RootFile string    `json:"root_file"`
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after"`
	// Team is the team that was entered, if one was.
	Team *portal.Team `json:"team,omitempty"`
}

// Run implements the verb.
func (c portalInitCmd) Run(ctx context.Context, s streams) error {
	made, err := makePlatformFolder(ctx, c.Dir, nil)
	if err != nil {
		return withRemedy(err)
	}
	if c.Team != "" {
		at := portalAt{Dir: c.Dir}
		err := at.do(ctx, func(ctx context.Context, at admin.Target) error {
			t, err := admin.CreateTeam.Call(ctx, at, admin.TeamRequest{Name: c.Team})
			made.Team = &t
			return err
		})
		if err != nil {
			return err
		}
	}
	return c.print(s, made, func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, "Made the portal in %s\n", plain(made.Dir)); err != nil {
			return err
		}
		if err := made.tell(w); err != nil {
			return err
		}
		next := fmt.Sprintf("Next: herald portal team add NAME --dir %s\n", plain(c.Dir))
		if made.Team != nil {
			next = fmt.Sprintf("Team %s has the Team ID %s.\nNext: herald portal app add com.example.app --dir %s\n", plain(made.Team.Name), made.Team.ID, plain(c.Dir))
		}
		_, err := io.WriteString(w, next)
		return err
	})
}

func (m madeFolder) tell(w io.Writer) error {
	if err := table(w,
		[]string{"Root", m.Root}, []string{"SHA-256", colons(m.SHA256)}, []string{"Expires", expires(m.NotAfter)}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "Wrote %s: clients that trust it trust this platform.\n", plain(m.RootFile))
	return err
}

// makePlatformFolder makes a folder with a portal: a new one, or that of a
// backup if there is one. Nothing is made of what is no backup.
func makePlatformFolder(ctx context.Context, dir string, backup []byte) (made madeFolder, err error) {
	if err := folder.CheckNew(dir); err != nil {
		return made, err
	}
	var lines io.Reader
	if backup != nil {
		if err := rehearse(ctx, backup); err != nil {
			return made, err
		}
		lines = bytes.NewReader(backup)
	}
	ctx = portal.WithActor(ctx, localActor())
	if made.Dir, err = filepath.Abs(dir); err != nil {
		return made, err
	}
	p, err := createPlatformFolder(ctx, dir, rootFile, lines)
	if err != nil {
		return made, err
	}
	root := p.Root()
	sum := sha256.Sum256(root.Raw)
	made.Root, made.SHA256, made.NotAfter = root.Subject.CommonName, hex.EncodeToString(sum[:]), root.NotAfter
	made.RootFile = filepath.Join(made.Dir, rootFile)
	return made, nil
}

// rehearse restores a backup where it leaves no trace.
func rehearse(ctx context.Context, backup []byte) error {
	s := memory.NewPortal()
	if err := portal.Restore(ctx, s, unsealed{}, bytes.NewReader(backup)); err != nil {
		return err
	}
	_, err := portal.Open(ctx, portal.Config{Store: s})
	return err
}

// unsealed is a portal.Sealer that does not.
type unsealed struct{}

func (unsealed) Seal(_ string, secret []byte) ([]byte, error) { return secret, nil }
func (unsealed) Open(_ string, sealed []byte) ([]byte, error) { return sealed, nil }
