package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// providerPage is the page that TestProviderPage follows.
const providerPage = "../docs/provider.md"

// pageAPI is where the page has the provider's API; the test's is elsewhere.
const pageAPI = "127.0.0.1:8040"

// TestProviderPage does what docs/provider.md says, as TestWalkthrough does with its
// page. "herald dev" and "herald provider serve" have terminals of their own, and
// ports. Indented blocks are not run: they are for Apple's service.
func TestProviderPage(t *testing.T) {
	t.Parallel()
	needCurl(t)
	needTool(t, "bash", "runs the commands of the page", "bash")
	needTool(t, "jq", "reads answers on the page", "jq")
	p := &providerWalk{whole: t, sh: startShell(t, filepath.Dir(binary(t)))}
	blocks := codeBlocks(t, providerPage)
	for i, b := range blocks {
		if b.language != "sh" {
			continue
		}
		want := ""
		if i+1 < len(blocks) && blocks[i+1].language == "text" {
			want = blocks[i+1].text
		}
		if !t.Run(b.name(), func(t *testing.T) { p.step(t, b, want) }) {
			t.Fatalf("%s:%d does not do as the page says; what follows it is not run", providerPage, b.line)
		}
	}
	if p.herald == nil || p.api == "" {
		t.Fatal("the page starts no herald dev, or no provider")
	}
	for _, body := range []string{"Hello", "Your order is on its way.", "It is spring.", "It is on its way."} {
		waitFor(t, body+" on the device", deliverWithin, func() (string, bool) {
			return "", strings.Contains(p.herald.output.String(), body)
		})
	}
}

// providerWalk is one way through the page.
type providerWalk struct {
	whole  *testing.T // of the whole page, not of a block
	sh     *shell
	herald *herald // nil before it is started
	api    string  // host:port of the provider; empty before it is started
}

// step does what one block says. What it starts ends with the whole test.
func (p *providerWalk) step(t *testing.T, b codeBlock, want string) {
	t.Helper()
	switch {
	case strings.HasPrefix(b.text, "herald dev --dir "):
		p.herald = startIn(p.whole, filepath.Join(p.sh.folder(t), strings.Fields(b.text)[3]), "--ports", "auto")
	case strings.HasPrefix(b.text, "herald provider serve "):
		printed := p.serve(t, strings.Fields(b.text)[1:])
		if missing := shown(want, strings.ReplaceAll(printed, p.api, pageAPI)); missing != "" {
			t.Fatalf("the page shows\n\n%s\n\nbut this was printed\n\n%s", missing, printed)
		}
	default:
		var output strings.Builder
		for _, command := range b.commands() {
			output.WriteString(p.sh.mustRun(t, strings.ReplaceAll(command, pageAPI, p.api)).stdout)
		}
		if missing := shown(want, output.String()); missing != "" {
			t.Fatalf("the page shows\n\n%s\n\nbut this was printed\n\n%s", missing, output.String())
		}
	}
}

// serve starts the provider, and returns what it printed when it was ready.
func (p *providerWalk) serve(t *testing.T, args []string) string {
	t.Helper()
	folder, out := p.sh.folder(t), new(log)
	cmd := exec.Command(binary(t), append(args, "--listen", "127.0.0.1:0")...) //nolint:noctx // it is interrupted
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = folder, environment(), out, out, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.whole.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			p.whole.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			p.whole.Errorf("the provider ended with %v:\n%s", err, out)
		}
	})
	waitFor(t, "the provider", startWithin, func() (string, bool) { return "", strings.Contains(out.String(), "Ctrl-C") })
	var run struct{ URL string }
	raw, err := os.ReadFile(filepath.Join(folder, "herald-provider", "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &run); err != nil {
		t.Fatal(err)
	}
	p.api = strings.TrimPrefix(run.URL, "http://")
	return out.String()
}
