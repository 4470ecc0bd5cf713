package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/heraldpush/herald/provider/account"
	"github.com/heraldpush/herald/provider/audience"
)

// A backup is handed over as it comes, cut short where it cannot be made whole, and
// given back in any case.
func TestBackup(t *testing.T) {
	var broken error
	begun, done := 0, 0
	w := newWorld(t, func(c *Config) {
		c.Backup = func(_ context.Context, recipients []string) (Backup, error) {
			if len(recipients) == 0 {
				var faults audience.Faults
				faults.Add("/recipients", audience.Required, "there is none")
				return Backup{}, faults.Err()
			}
			begun++
			return Backup{
				Write: func(_ context.Context, w io.Writer) error {
					_, err := io.WriteString(w, "all for "+strings.Join(recipients, " "))
					return errors.Join(err, broken)
				},
				Done: func() error { done++; return nil },
			}, nil
		}
	})
	got := w.do(t, http.MethodPost, "/v1/backup", `{"recipients": ["age1a", "age1b"]}`)
	if got.status != 200 || got.body != "all for age1a age1b" || got.header.Get("Content-Type") != mediaBinary {
		t.Errorf("got %s, %v", got.said(), got.header)
	}
	if got := w.do(t, http.MethodPost, "/v1/backup", `{"recipients": []}`); got.status != 422 || !strings.Contains(got.body, `"/recipients"`) {
		t.Errorf("for nobody: got %s", got.said())
	}
	reader := w.newKey(t, account.KeySpec{Scopes: []account.Scope{account.ScopeRead, account.ScopeSend, account.ScopeDevices}})
	if got := w.as(t, reader, http.MethodPost, "/v1/backup", `{"recipients": ["age1a"]}`); got.status != 403 {
		t.Errorf("with a key that lacks admin: got %s", got.said())
	}
	broken = errors.New("disk is gone")
	func() {
		defer func() {
			if got, ok := recover().(error); !ok || !errors.Is(got, http.ErrAbortHandler) {
				t.Errorf("one that breaks off: got %v, want %v", got, http.ErrAbortHandler)
			}
		}()
		w.do(t, http.MethodPost, "/v1/backup", `{"recipients": ["age1a"]}`)
	}()
	if begun != 2 || done != 2 {
		t.Errorf("got %d begun and %d done, want 2 of each", begun, done)
	}
	if got := newWorld(t, nil).do(t, http.MethodPost, "/v1/backup", `{"recipients": ["age1a"]}`); got.status != 404 {
		t.Errorf("where none is made: got %s", got.said())
	}
}
