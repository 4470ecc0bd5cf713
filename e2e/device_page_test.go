package e2e

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// devicePage is the page that TestDevicePage follows.
const devicePage = "../docs/device.md"

// TestDevicePage does what docs/device.md says, as TestWalkthrough does with
// its page. "herald device run" has a terminal of its own too; a "curl -N" is
// ended as soon as it has shown what the page shows. Blocks of other languages
// and indented ones are not run.
func TestDevicePage(t *testing.T) {
	t.Parallel()
	needCurl(t)
	needTool(t, "bash", "runs the commands of the page", "bash")
	needTool(t, "jq", "reads dev.json on the page", "jq")
	sh := startShell(t, filepath.Dir(binary(t)))
	var ran []string
	blocks := codeBlocks(t, devicePage)
	for i, b := range blocks {
		if b.language != "sh" {
			continue
		}
		want := ""
		if i+1 < len(blocks) && blocks[i+1].language == "text" {
			want = blocks[i+1].text
		}
		if !t.Run(b.name(), func(step *testing.T) { deviceStep(step, t, sh, b, want) }) {
			t.Fatalf("%s:%d does not do as the page says; what follows it is not run", devicePage, b.line)
		}
		ran = append(ran, strings.Join(strings.Fields(b.text)[:2], " "))
	}
	if !slices.Contains(ran, "herald dev") || !slices.Contains(ran, "herald device") || !slices.Contains(ran, "curl -N") {
		t.Errorf("the page ran %q, want herald dev, herald device and curl -N among them", ran)
	}
}

// deviceStep does what one block says. What it starts ends with the whole test.
func deviceStep(t, whole *testing.T, sh *shell, b codeBlock, want string) {
	t.Helper()
	folder := sh.folder(t)
	words := strings.Fields(b.text)
	var printed func() string
	switch {
	case strings.HasPrefix(b.text, "herald dev "):
		h := startIn(whole, filepath.Join(folder, words[3]), words[4:]...)
		printed = h.output.String
	case strings.HasPrefix(b.text, "herald device run "):
		printed = startPhone(whole, folder, words[3:]...).stdout.String
	case strings.HasPrefix(b.text, "curl -N "):
		out := new(log)
		cmd := exec.CommandContext(t.Context(), "curl", words[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdout = folder, environment(), out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Wait() }) // the end of the test's context has ended it
		printed = out.String
	default:
		var output strings.Builder
		for _, command := range b.commands() {
			output.WriteString(sh.mustRun(t, command).stdout)
		}
		printed = output.String
		if missing := shown(want, output.String()); missing != "" {
			t.Fatalf("the page shows\n\n%s\n\nbut this was printed\n\n%s", missing, output.String())
		}
		return
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page shows\n\n%s\n\nbut this was printed\n\n%s", want, printed())
		}
	})
	waitFor(t, "output as shown on the page", startWithin, func() (string, bool) { return "", shown(want, printed()) == "" })
}
