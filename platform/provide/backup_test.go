package provide

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/platform/folder"
)

// offline is a push server that reaches no gateway.
func offline(cfg *Config) {
	cfg.Gateway = func(apns.Environment) apnsclient.Config {
		return apnsclient.Config{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}
	}
}

// newIdentity returns what a backup can be encrypted to.
func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// fetch returns a backup that a push server makes while it runs.
func fetch(t *testing.T, url, key, to string) []byte {
	t.Helper()
	body, err := json.Marshal(map[string][]string{"recipients": {to}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/backup", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("got %d, %v: %.200s", res.StatusCode, err, b)
	}
	return b
}

// restore makes a folder of a backup.
func restore(t *testing.T, backup []byte, id age.Identity) (string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	r, err := age.Decrypt(bytes.NewReader(backup), id)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Restore(t.Context(), dir, r, slog.New(slog.DiscardHandler))
	return dir, err
}

// message is what the tests look at of one.
type message struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Counts struct {
		Pending int `json:"pending"`
	} `json:"counts"`
}

// TestBackup finds apps, credentials, installations and what waits in a folder that
// was made of a backup, be it of one on which a push server runs or of one at rest.
func TestBackup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	first := start(t, dir, offline)
	key, id := first.AdminKey.Reveal(), newIdentity(t)
	var ignored any
	post(t, first.URL+"/v1/apps", key, map[string]string{"id": "shop", "bundle_id": "com.example.shop"}, &ignored)
	post(t, first.URL+"/v1/apps/shop/credentials", key, map[string]any{"file": endsSoon(t)}, &ignored)
	register(t, first.URL+"/v1/apps/shop/installations/phone", key)
	var waits, later message
	order := map[string]any{"to": map[string]any{"installations": []string{"phone"}}, "content": map[string]string{"title": "Hello"}}
	post(t, first.URL+"/v1/apps/shop/messages", key, order, &waits)
	running := fetch(t, first.URL, key, id.Recipient().String())
	post(t, first.URL+"/v1/apps/shop/messages", key, order, &later)
	err := WriteBackup(t.Context(), dir, []string{id.Recipient().String()}, io.Discard, slog.New(slog.DiscardHandler))
	if !errors.Is(err, folder.ErrInUse) {
		t.Errorf("from the folder of a push server that runs: got %v, want %v", err, folder.ErrInUse)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	var atRest bytes.Buffer
	if err := WriteBackup(t.Context(), dir, []string{id.Recipient().String()}, &atRest, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "herald.db.copy")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy of the database: got %v, want %v", err, os.ErrNotExist)
	}
	for name, tt := range map[string]struct {
		backup  []byte
		unknown string // what came later
	}{
		"of one that runs": {running, later.ID},
		"of one at rest":   {atRest.Bytes(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if bytes.Contains(tt.backup, []byte("shop")) {
				t.Error("the backup can be read")
			}
			dir, err := restore(t, tt.backup, id)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, AdminKeyFile)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: got %v, want %v", AdminKeyFile, err, os.ErrNotExist)
			}
			again := start(t, dir, offline)
			if got, _ := get(t, http.DefaultClient, again.URL, "/v1/apps", key); got != http.StatusUnauthorized {
				t.Errorf("with the former key for everything: got %d", got)
			}
			for path, want := range map[string]string{
				"/v1/apps/shop":                     "com.example.shop",
				"/v1/apps/shop/credentials":         "not_after",
				"/v1/apps/shop/installations/phone": "00112233",
				"/v1/audit":                         "provider.restore",
			} {
				if status, got := get(t, http.DefaultClient, again.URL, path, again.AdminKey.Reveal()); status != http.StatusOK || !strings.Contains(got, want) {
					t.Errorf("%s: got %d %s, want %s", path, status, got, want)
				}
			}
			var m message
			status, got := get(t, http.DefaultClient, again.URL, "/v1/apps/shop/messages/"+waits.ID, again.AdminKey.Reveal())
			if err := json.Unmarshal([]byte(got), &m); err != nil || status != http.StatusOK || m.Counts.Pending != 1 {
				t.Errorf("what waits: got %d %s", status, got)
			}
			if tt.unknown == "" {
				return
			}
			if status, got := get(t, http.DefaultClient, again.URL, "/v1/apps/shop/messages/"+tt.unknown, again.AdminKey.Reveal()); status != http.StatusNotFound {
				t.Errorf("what came after the backup: got %d %s", status, got)
			}
		})
	}
}

// register registers an installation.
func register(t *testing.T, url, key string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url,
		strings.NewReader(`{"device_tokens": [{"environment": "sandbox", "value": "00112233"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		t.Fatalf("got %d", res.StatusCode)
	}
}

// TestBackupLosesNone makes backups while messages come and end: each that was
// answered before is in the outbox or the archive of what is made of it.
func TestBackupLosesNone(t *testing.T) {
	first := start(t, filepath.Join(t.TempDir(), "p"), offline)
	key, id := first.AdminKey.Reveal(), newIdentity(t)
	var ignored any
	post(t, first.URL+"/v1/apps", key, map[string]string{"id": "shop", "bundle_id": "com.example.shop"}, &ignored)
	post(t, first.URL+"/v1/apps/shop/credentials", key, map[string]any{"file": endsSoon(t)}, &ignored)
	const messages, backups = 24, 2
	promised := make(chan string, messages)
	go func() { // a message ends by being cancelled, and is archived
		defer close(promised)
		for range messages {
			var m message
			post(t, first.URL+"/v1/apps/shop/messages", key, map[string]any{
				"to": map[string]any{"device_tokens": []map[string]string{{"environment": "sandbox", "value": "00112233"}}}, "content": map[string]string{"title": "Hello"},
			}, &m)
			promised <- m.ID
			post(t, first.URL+"/v1/apps/shop/messages/"+m.ID+":cancel", key, map[string]any{}, &ignored)
		}
	}()
	defer func() {
		for range promised { // until it has ended
		}
	}()
	var known []string
	for range backups {
		for range messages / (backups + 1) {
			id, ok := <-promised
			if !ok {
				t.Fatal("nothing is promised any more")
			}
			known = append(known, id)
		}
		dir, err := restore(t, fetch(t, first.URL, key, id.Recipient().String()), id)
		if err != nil {
			t.Fatal(err)
		}
		again := start(t, dir, offline)
		for _, id := range known {
			if status, got := get(t, http.DefaultClient, again.URL, "/v1/apps/shop/messages/"+id, again.AdminKey.Reveal()); status != http.StatusOK {
				t.Errorf("%s: got %d %s", id, status, got)
			}
		}
		if err := again.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRestoreRefuses proves that nothing is made of what is no whole backup.
func TestRestoreRefuses(t *testing.T) {
	first, id := start(t, filepath.Join(t.TempDir(), "p"), offline), newIdentity(t)
	whole := fetch(t, first.URL, first.AdminKey.Reveal(), id.Recipient().String())
	r, err := age.Decrypt(bytes.NewReader(whole), id)
	if err != nil {
		t.Fatal(err)
	}
	open, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	line := bytes.IndexByte(open, '\n') + 1
	for name, backup := range map[string][]byte{
		"nothing":           nil,
		"another's":         []byte(`{"herald": "portal backup", "format": 1}` + "\n"),
		"of a later format": []byte(`{"herald": "provider backup", "format": 2}` + "\n"),
		"no line":           bytes.Repeat([]byte("x"), 2<<20),
		"the line alone":    open[:line],
		"a long key":        append(bytes.Clone(open[:line]), 0xff, 0xff, 0xff, 0xff),
		"half a key":        open[:line+20],
		"without its end":   open[:len(open)-1],
		"with more":         append(bytes.Clone(open), 0),
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "restored")
			_, err := Restore(t.Context(), dir, bytes.NewReader(backup), slog.New(slog.DiscardHandler))
			if _, ok := errors.AsType[*folder.BackupError](err); !ok {
				t.Errorf("got %v, want a *folder.BackupError", err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder: got %v, want %v", err, os.ErrNotExist)
			}
		})
	}
}
