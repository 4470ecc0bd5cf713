package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shell is a bash that runs commands one by one, as a person does at a
// terminal: variables and the working folder last from one to the next.
type shell struct {
	in    io.Writer
	lines <-chan string // printed; closed when bash has ended
	mark  string        // begins the line after a command, which has its status
}

// startShell starts a bash in a folder of its own, with a folder before all
// others on its PATH, and ends it when the test ends.
func startShell(t *testing.T, path string) *shell {
	t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc") //nolint:noctx // the cleanup ends it
	cmd.Dir = t.TempDir()
	home := t.TempDir()
	// At a terminal curl draws no progress meter, so it must not do so here.
	if err := os.WriteFile(filepath.Join(home, ".curlrc"), []byte("silent\nshow-error\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(environment(), "PATH="+path+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"HOME="+home, "CURL_HOME="+home, "XDG_CONFIG_HOME="+home, "LC_ALL=C")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, done, read := make(chan string), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			select {
			case lines <- scan.Text():
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		// Idle, it ends at the end of its input. Else a command took too long.
		kill := time.AfterFunc(stopWithin, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("bash: %v", err)
		}
		<-read
	})
	s := &shell{in: in, lines: lines, mark: "ended-" + newID()}
	s.mustRun(t, "umask 022")
	return s
}

// run runs a command without input, and returns its status, and as stdout all
// that it printed.
func (s *shell) run(t *testing.T, command string) (o outcome) {
	t.Helper()
	quoted := "'" + strings.ReplaceAll(command, "'", `'\''`) + "'"
	if _, err := fmt.Fprintf(s.in, "{ eval %s; } </dev/null 2>&1; printf '\\n%%s %%d\\n' %s $?\n", quoted, s.mark); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	deadline := time.After(toolWithin)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				t.Fatalf("bash ended during %s\n%s", command, printed.String())
			}
			status, ok := strings.CutPrefix(line, s.mark)
			if !ok {
				printed.WriteString(line + "\n")
				continue
			}
			if _, err := fmt.Sscan(status, &o.status); err != nil {
				t.Fatalf("status %q: %v", status, err)
			}
			o.stdout = strings.TrimSuffix(printed.String(), "\n") // before the mark
			return o
		case <-deadline:
			t.Fatalf("after %v there is no end of %s\n%s", toolWithin, command, printed.String())
		}
	}
}

// mustRun is run for a command that is to exit with status 0.
func (s *shell) mustRun(t *testing.T, command string) outcome {
	t.Helper()
	o := s.run(t, command)
	if o.status != 0 {
		t.Fatalf("%s: exit status %d\n%s", command, o.status, o.stdout)
	}
	return o
}

// folder returns the working folder.
func (s *shell) folder(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(s.mustRun(t, "pwd").stdout)
}
