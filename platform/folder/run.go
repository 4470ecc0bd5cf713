package folder

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Run is run.json: how other processes on this machine reach the platform that
// runs on a folder. It does not show the key to whoever prints or logs it.
type Run struct {
	PID int `json:"pid"`
	// URL is the base of the platform's API.
	URL string `json:"url"`
	// AdminKey is the API's key, another at each run.
	AdminKey string    `json:"admin_key"`
	Started  time.Time `json:"started_at"`
}

// String names the run without its key.
func (r Run) String() string { return fmt.Sprintf("%s (process %d)", r.URL, r.PID) }

// GoString names the run without its key.
func (r Run) GoString() string { return "folder.Run(" + r.String() + ")" }

// LogValue implements slog.LogValuer.
func (r Run) LogValue() slog.Value { return slog.StringValue(r.String()) }

// WriteRun writes how to reach the platform that this process runs on the
// folder. Close removes it.
func (f *Folder) WriteRun(url, adminKey string) error {
	f.runs = true
	return f.writeJSON(runFile, Run{PID: os.Getpid(), URL: url, AdminKey: adminKey, Started: time.Now().UTC()})
}

// RemoveRun removes what WriteRun wrote: nobody answers there any more.
func (f *Folder) RemoveRun() error { return f.remove(runFile) }

// ReadRun returns how to reach the platform that runs on a folder. It is
// fs.ErrNotExist if none says so. Ask only after ErrInUse: whether the one who
// wrote it still lives, its lock says, and not the process ID, which another
// process may have by now.
func ReadRun(dir string) (r Run, err error) {
	path := filepath.Join(dir, runFile)
	b, err := readSmall(path)
	if err != nil {
		return Run{}, err
	}
	if err := json.Unmarshal(b, &r); err != nil || r.URL == "" {
		return Run{}, fmt.Errorf("%s is damaged", path)
	}
	return r, nil
}
