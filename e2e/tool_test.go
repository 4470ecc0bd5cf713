package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// What becomes of a test that lacks a program: it skips, or it fails where the
// variable says so.
const (
	policyVariable = "HERALD_E2E"
	policyRequire  = "require"
)

// toolWithin bounds one run of a program that ends by itself.
const toolWithin = time.Minute

// lack ends a test that cannot run here, and says why.
func lack(t *testing.T, why string) {
	t.Helper()
	switch v := os.Getenv(policyVariable); v {
	case "":
		t.Skip(why)
	case policyRequire:
		t.Fatalf("%s (required by %s=%s)", why, policyVariable, v)
	default:
		t.Fatalf("%s, and %s=%q: want %s or nothing", why, policyVariable, v, policyRequire)
	}
}

// skipRace ends a test of files alone under the race detector: the verbs that
// write them have one goroutine, so that there is nothing to find, and it is
// the slowest there.
func skipRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("files are tested without the race detector")
	}
}

// needTool ends the test where a program is missing. The purpose says what it
// is for, the pkg which Debian package has it.
func needTool(t *testing.T, name, purpose, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		lack(t, name+" is missing: it "+purpose+"; Debian has it in the package "+pkg)
	}
}

// needCurl ends the test where there is no curl that speaks HTTP/2.
func needCurl(t *testing.T) {
	t.Helper()
	needTool(t, "curl", "sends notifications over HTTP/2", "curl")
	if version := tool(t, "curl", "--version"); !strings.Contains(version.stdout, "HTTP2") {
		lack(t, "this curl was built without HTTP/2; Debian's package curl has it")
	}
}

// needShell ends the test where the shell script that makes a provider token
// lacks a program.
func needShell(t *testing.T) {
	t.Helper()
	needTool(t, "openssl", "signs provider tokens", "openssl")
	needTool(t, "jq", "reads dev.json in shell scripts", "jq")
}

// needJava ends the test where there is no JDK.
func needJava(t *testing.T) {
	t.Helper()
	for _, name := range []string{"java", "javac", "keytool"} {
		needTool(t, name, "reads and sends as programs in Java do", "default-jdk-headless")
	}
}

// java returns the start of a command that runs a class of testdata. The first
// call compiles them all.
func java(t *testing.T, class string) []string {
	t.Helper()
	classes, err := compileJava()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"java", "-XX:TieredStopAtLevel=1", "-cp", classes, class}
}

var compileJava = sync.OnceValues(func() (string, error) {
	sources, err := filepath.Glob("testdata/*.java")
	if err != nil {
		return "", err
	}
	classes := filepath.Join(built, "classes")
	cmd := exec.Command("javac", append([]string{"-d", classes}, sources...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling Java: %w\n%s", err, out)
	}
	return classes, nil
})

// outcome is how a program ended.
type outcome struct {
	status         int
	stdout, stderr string
}

// program is a run of a program that ends by itself.
type program struct {
	args  []string // the first names the program
	dir   string   // working folder; empty for one of its own
	env   []string // on top of environment()
	stdin string
}

// tool runs a program and fails the test unless it exits with status 0.
func tool(t *testing.T, args ...string) outcome {
	t.Helper()
	return program{args: args}.mustRun(t)
}

// mustRun is run for a program that is to exit with status 0.
func (p program) mustRun(t *testing.T) outcome {
	t.Helper()
	o := p.run(t)
	if o.status != 0 {
		t.Fatalf("%s: exit status %d\n%s%s", p.args[0], o.status, o.stdout, o.stderr)
	}
	return o
}

// run runs p to its end, bounded by toolWithin, and reports how it ended.
func (p program) run(t *testing.T) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
	if cmd.Dir = p.dir; p.dir == "" {
		cmd.Dir = t.TempDir()
	}
	cmd.Env = append(environment(), p.env...)
	cmd.Stdin = strings.NewReader(p.stdin)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (ctx.Err() != nil || !errors.As(err, &exit)) {
		t.Fatalf("%s: %v (%v)\n%s%s", p.args[0], err, ctx.Err(), stdout.String(), stderr.String())
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// buildModule builds a module of its own under testdata, and returns the path
// of the program. The content says in words what comes from elsewhere.
func buildModule(t *testing.T, name, content string) string {
	t.Helper()
	module := filepath.Join("testdata", name)
	env := []string{"GOWORK=off"}
	list := program{args: []string{"go", "list", "-deps", "."}, dir: module, env: env}
	if o := list.run(t); o.status != 0 {
		lack(t, content+" is not to be had from the module proxy: "+o.stderr)
	}
	path := filepath.Join(t.TempDir(), name)
	program{args: []string{"go", "build", "-o", path, "."}, dir: module, env: env}.mustRun(t)
	return path
}

// installPackages has npm install what a folder under testdata locks, and
// returns the path of a copy of the folder that has it. The content says in
// words what comes from elsewhere.
func installPackages(t *testing.T, name, content string) string {
	t.Helper()
	needTool(t, "npm", "installs "+content, "npm")
	folder := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	install := program{
		args: []string{
			"npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline",
			"--fetch-timeout=10000", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", // within toolWithin
		},
		dir: folder,
		env: os.Environ(), // with the proxy and authorities that environment drops: this goes further than loopback
	}
	if o := install.run(t); o.status != 0 {
		lack(t, content+" is not to be had from the npm registry: "+o.stderr)
	}
	return folder
}

// environment is this process's, without what would change whom a program
// trusts or how it reaches loopback.
func environment() []string {
	dropped := []string{
		"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
	}
	var kept []string
next:
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, d := range dropped {
			if strings.EqualFold(name, d) {
				continue next
			}
		}
		kept = append(kept, pair)
	}
	return kept
}
