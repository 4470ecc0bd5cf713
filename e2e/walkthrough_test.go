package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// walkthrough is the page that TestWalkthrough follows.
const walkthrough = "../docs/walkthrough.md"

// TestWalkthrough does what docs/walkthrough.md says, from the page itself,
// and checks that it ends as the page shows: in this order,
//
//   - a block "sh" is run in bash, each command with the variables and the
//     folder that those before left. "herald dev" is the first terminal; it
//     runs until the end, and bash is the second;
//   - a block "text" is what the block before it printed, or the part of it
//     that matters; see shown. With "text fails" the last command failed;
//   - a block "php" is a file, named by the block.
//
// What answers with 200 is a notification that the device has to receive.
func TestWalkthrough(t *testing.T) {
	t.Parallel()
	needWalkthroughTools(t)
	w := &walk{whole: t, sh: startShell(t, filepath.Dir(binary(t))), page: read(t, walkthrough)}
	blocks := codeBlocks(t, walkthrough)
	for i := 0; i < len(blocks); i++ {
		b, want := blocks[i], codeBlock{}
		if i+1 < len(blocks) && blocks[i+1].language == "text" {
			i++
			want = blocks[i]
		}
		if !t.Run(b.name(), func(t *testing.T) { w.step(t, b, want) }) {
			t.Fatalf("%s:%d does not do as the page says; what follows it is not run", walkthrough, b.line)
		}
	}
	if w.herald == nil {
		t.Fatal("the page starts no herald dev")
	}
	if got := len(w.herald.delivered(t)); got != w.pushed || got < 4 {
		t.Errorf("the device received %d notifications, want the %d pushed, at least 4", got, w.pushed)
	}
}

// walk is one way through the page.
type walk struct {
	whole  *testing.T // of the whole page, not of a block
	sh     *shell
	herald *herald // in the first terminal; nil before it is started
	page   string
	pushed int // notifications that a gateway took
}

// step does what one block says.
func (w *walk) step(t *testing.T, b, want codeBlock) {
	t.Helper()
	switch {
	case b.language == "php" && b.info != "" && b.info == filepath.Base(b.info):
		if err := os.WriteFile(filepath.Join(w.sh.folder(t), b.info), []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
	case b.language != "sh":
		t.Fatalf("a block %q can not be followed", b.language+" "+b.info)
	case strings.HasPrefix(b.text, "herald dev "):
		flags := strings.Fields(b.text)[2:]
		if len(flags) < 2 || flags[0] != "--dir" {
			t.Fatalf("%s: want it to begin with herald dev --dir", b.text)
		}
		w.herald = startIn(w.whole, filepath.Join(w.sh.folder(t), flags[1]), flags[2:]...)
		waitFor(t, "welcome as shown on the page", startWithin, func() (string, bool) {
			return "", shown(want.text, w.herald.output.String()) == ""
		})
	default:
		needForBlock(t, b)
		w.run(t, b, want)
	}
}

// run runs the commands of a block and checks what they print and deliver.
func (w *walk) run(t *testing.T, b, want codeBlock) {
	t.Helper()
	var output strings.Builder
	commands := b.commands()
	for i, command := range commands {
		o := w.sh.run(t, command)
		output.WriteString(o.stdout)
		fails := want.info == "fails" && i == len(commands)-1
		if (o.status != 0) != fails {
			t.Fatalf("exit status %d, want failure: %v\n$ %s\n%s", o.status, fails, command, o.stdout)
		}
	}
	if missing := shown(want.text, output.String()); missing != "" {
		t.Fatalf("the page shows\n\n%s\n\nbut this was printed\n\n%s", missing, output.String())
	}
	if !strings.Contains(want.text, "HTTP/2 200") {
		return
	}
	id := regexp.MustCompile(`(?m)^apns-id: (\S+)`).FindStringSubmatch(output.String())
	if id == nil {
		t.Fatalf("no apns-id in\n%s", output.String())
	}
	w.pushed++
	var payload struct {
		APS struct{ Alert struct{ Body string } }
	}
	d := w.herald.waitDelivered(t, id[1])
	if err := json.Unmarshal(d.Payload, &payload); err != nil {
		t.Fatalf("payload %s: %v", d.Payload, err)
	}
	body := payload.APS.Alert.Body
	if body == "" || !strings.Contains(w.page, body) {
		t.Errorf("the device received %q, which is not on the page", body)
	}
	waitFor(t, "notification in the first terminal", deliverWithin, func() (string, bool) {
		return "", strings.Contains(w.herald.output.String(), body)
	})
}

// needWalkthroughTools ends the test where a program that the page asks for is
// missing.
func needWalkthroughTools(t *testing.T) {
	t.Helper()
	needCurl(t)
	needTool(t, "bash", "runs the commands of the walkthrough", "bash")
	needTool(t, "jq", "reads dev.json in the walkthrough", "jq")
	needTool(t, "openssl", "is what half of the walkthrough is about", "openssl")
	if v := tool(t, "openssl", "version").stdout; !strings.HasPrefix(v, "OpenSSL 3") {
		lack(t, "the walkthrough shows what OpenSSL 3 does, and this is "+strings.TrimSpace(v))
	}
}

// needForBlock ends the test of a block that needs more than most people have.
func needForBlock(t *testing.T, b codeBlock) {
	t.Helper()
	if strings.HasPrefix(b.text, "php ") {
		needTool(t, "php", "sends as PHP programs do", "php-cli")
		if modules := tool(t, "php", "-m").stdout; !strings.Contains(modules, "\ncurl\n") {
			lack(t, "this php is without curl; Debian has it in the package php-curl")
		}
	}
	if strings.Contains(b.text, "openssl pkcs12 -legacy") {
		list := program{args: []string{"openssl", "list", "-providers", "-provider", "legacy"}}
		if o := list.run(t); o.status != 0 {
			lack(t, "this OpenSSL is without its legacy module; newer Debian has it in the package openssl-provider-legacy")
		}
	}
}

// changing is what differs from run to run or between versions of OpenSSL, and
// what stands for it.
var changing = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d|\b\d{1,2} [A-Z][a-z]{2} \d{4}\b`), "DATE"},
	{regexp.MustCompile(`\(\d+ days`), "(N days"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "UUID"},
	{regexp.MustCompile(`\b[0-9a-f]{32,64}\b`), "HEX"},
	{regexp.MustCompile(`AuthKey_[A-Z2-7]{10}\b`), "AuthKey_ID"},
	{regexp.MustCompile(`\b[A-Z0-9]{10}\b`), "ID"},
	{regexp.MustCompile(` ?= ?`), "="},
}

// alike returns the lines of a text without what differs from run to run.
func alike(text string) (lines []string) {
	for _, c := range changing {
		text = c.what.ReplaceAllString(text, c.with)
	}
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

// shown looks for the lines of want in got, in order, and returns the first
// that is not there, or nothing. In want, … stands for anything, and further
// lines may stand between its lines: a verb may learn to say more.
func shown(want, got string) (missing string) {
	rest := alike(got)
next:
	for _, line := range alike(want) {
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + "$")
		for i, g := range rest {
			if pattern.MatchString(g) {
				rest = rest[i+1:]
				continue next
			}
		}
		if line != "…" {
			return line
		}
	}
	return ""
}

// TestWalkthroughCodes checks that each code that the page explains is one
// that herald has, and is explained in the other language too.
func TestWalkthroughCodes(t *testing.T) {
	t.Parallel()
	explained := func(page string) []string {
		return regexp.MustCompile("`[EW]-[A-Z0-9-]+`").FindAllString(read(t, page), -1)
	}
	codes, known := explained(walkthrough), read(t, "../credential/diagnose.go")
	if len(codes) < 10 {
		t.Errorf("found %d codes on the page, want more", len(codes))
	}
	for _, c := range codes {
		if !strings.Contains(known, `"`+strings.Trim(c, "`")+`"`) {
			t.Errorf("the page explains %s, which is not a code of herald", c)
		}
	}
	if diff := cmp.Diff(codes, explained(translation(walkthrough))); diff != "" {
		t.Errorf("codes explained (-English +Chinese):\n%s", diff)
	}
}

// TestShown checks the comparison itself: a walkthrough that accepts anything
// proves nothing.
func TestShown(t *testing.T) {
	t.Parallel()
	const got = "Wrote AuthKey_QKGMJUI4FQ.p8 (mode 0600).\nTeam ID   LZ2ANG4LSE\nExpires 2027-12-23 (394 days)\n\n{\"reason\":\"X\"}\n"
	for _, tt := range []struct{ name, want, missing string }{
		{"nothing", "", ""},
		{"the same", got, ""},
		{"other values", "Team ID ABCDE12345\nExpires 2030-01-02 (1 days)\n", ""},
		{"cut short", "Wrote AuthKey_ABCDE23456.p8 …\n…\n{\"reason\":\"X\"}\n", ""},
		{"another text", "Team ID …\n{\"reason\":\"Y\"}\n", `{"reason":"Y"}`},
		{"another order", "Expires …\nTeam ID …\n", "Team ID …"},
		{"a part of a line", "Wrote\n", "Wrote"},
		{"twice", "Team ID …\nTeam ID …\n", "Team ID …"},
	} {
		if missing := shown(tt.want, got); missing != tt.missing {
			t.Errorf("%s: got %q missing, want %q", tt.name, missing, tt.missing)
		}
	}
}
