package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDevFile checks dev.json itself, which scripts and other programs read.
func TestDevFile(t *testing.T) {
	t.Parallel()
	h := start(t)

	var flat map[string]string
	if err := json.Unmarshal([]byte(read(t, h.devPath())), &flat); err != nil {
		t.Fatalf("dev.json is no flat object of strings: %v", err)
	}
	for key, value := range flat {
		if value == "" {
			t.Errorf("%s: empty", key)
		}
	}
	for _, private := range []string{h.devPath(), h.Key, h.CertificatePEM, h.CertificateP12} {
		info, err := os.Stat(private)
		if err != nil {
			t.Error(err)
		} else if got := info.Mode(); got != 0o600 {
			t.Errorf("%s: got mode %v, want -rw-------", filepath.Base(private), got)
		}
	}
	hex := regexp.MustCompile(`^[0-9a-f]{64}$`)
	for key, token := range map[string]string{
		"device_token": h.DeviceToken, "base_token": h.BaseToken, "bench_device_token": h.BenchDeviceToken,
	} {
		if !hex.MatchString(token) {
			t.Errorf("%s: got %q, want 64 hex digits", key, token)
		}
	}
	if h.DeviceToken == h.BenchDeviceToken {
		t.Error("device_token and bench_device_token are the same")
	}

	addresses := map[string]string{
		"gateway.sandbox": h.GatewaySandbox, "gateway.production": h.GatewayProduction, "courier": h.Courier,
		"legacy.sandbox": h.LegacySandbox, "legacy.production": h.LegacyProduction,
		"feedback.sandbox": h.FeedbackSandbox, "feedback.production": h.FeedbackProduction,
		"http": host(t, h.HTTP), "activation": host(t, h.Activation),
	}
	for key, address := range addresses {
		dialed, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Errorf("%s does not answer: %v", key, err)
			continue
		}
		if ip := dialed.RemoteAddr().(*net.TCPAddr).IP; !ip.IsLoopback() { //nolint:errcheck // dialed as tcp
			t.Errorf("%s: got %v, want a loopback address", key, ip)
		}
		defer dialed.Close() // open still when herald is told to stop
	}
}

// host returns host and port of a URL.
func host(t *testing.T, s string) string {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// TestTwoSideBySide runs two platforms at once: each delivers its own, and
// nothing of one is worth anything at the other.
func TestTwoSideBySide(t *testing.T) {
	t.Parallel()
	needCurl(t)
	a, b := start(t), start(t)

	for _, h := range []*herald{a, b} {
		n := h.alert("side by side")
		checkAccepted(t, h.send(t, h.DeviceToken, n), n.ID)
		h.checkDelivered(t, n)
		if got := h.delivered(t); len(got) != 1 {
			t.Errorf("got %d notifications, want the one sent: %+v", len(got), got)
		}
	}
	for name, pair := range map[string][2]string{
		"gateway.sandbox": {a.GatewaySandbox, b.GatewaySandbox}, "courier": {a.Courier, b.Courier},
		"device_token": {a.DeviceToken, b.DeviceToken}, "base_token": {a.BaseToken, b.BaseToken},
		"enrolment_code": {a.EnrolmentCode, b.EnrolmentCode}, "ca": {read(t, a.CA), read(t, b.CA)},
		"key": {read(t, a.Key), read(t, b.Key)},
	} {
		if pair[0] == pair[1] {
			t.Errorf("both have the same %s", name)
		}
	}

	// b's device token is a stranger's to a, and so is b's authority.
	checkRefused(t, a.send(t, b.DeviceToken, a.alert("to the neighbour")), 400, "BadDeviceToken")
	const untrusted = 60 // curl's exit status
	if o := (program{args: []string{"curl", "--disable", "--silent", "--cacert", b.CA, "https://" + a.GatewaySandbox}}).run(t); o.status != untrusted {
		t.Errorf("curl with the authority of the other: got exit status %d, want %d", o.status, untrusted)
	}
}

// TestStartAgain stops a platform and starts it in the same folder: senders
// and devices that were set up for it go on as if nothing had been.
func TestStartAgain(t *testing.T) {
	t.Parallel()
	needCurl(t)
	first := start(t)
	sent := first.alert("before")
	checkAccepted(t, first.send(t, first.DeviceToken, sent), sent.ID)
	first.checkDelivered(t, sent)
	authority, certificate := read(t, first.CA), read(t, first.CertificatePEM)
	first.stop(t)

	second := startIn(t, first.dir, "--ports", "auto")
	kept := func(h *herald) map[string]string {
		return map[string]string{
			"team_id": h.TeamID, "key_id": h.KeyID, "topic": h.Topic,
			"device_token": h.DeviceToken, "base_token": h.BaseToken, "bench_device_token": h.BenchDeviceToken,
			"key": h.Key, "ca": h.CA, "certificate.pem": h.CertificatePEM,
		}
	}
	if diff := cmp.Diff(kept(first), kept(second)); diff != "" {
		t.Errorf("dev.json (-first +second start):\n%s", diff)
	}
	if read(t, second.CA) != authority || read(t, second.CertificatePEM) != certificate {
		t.Error("authority or certificate changed")
	}
	sent = second.alert("after")
	checkAccepted(t, second.send(t, first.DeviceToken, sent), sent.ID)
	second.checkDelivered(t, sent)
}

// TestFolderInUse starts a second herald in the folder of a running one, which
// must refuse and leave the first as it is.
func TestFolderInUse(t *testing.T) {
	t.Parallel()
	needCurl(t)
	h := start(t)
	before := read(t, h.devPath())
	checkStartRefused(t, []string{"--dir", h.dir, "--ports", "auto"}, h.dir)
	if read(t, h.devPath()) != before {
		t.Error("the second start changed dev.json of the first")
	}
	n := h.alert("still here")
	checkAccepted(t, h.send(t, h.DeviceToken, n), n.ID)
	h.checkDelivered(t, n)
}

// TestForeignFolder starts herald in a folder that holds something else.
func TestForeignFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	letter := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(letter, []byte("Dear diary"), 0o644); err != nil {
		t.Fatal(err)
	}
	checkStartRefused(t, []string{"--dir", dir, "--ports", "auto"}, dir)
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || read(t, letter) != "Dear diary" {
		t.Errorf("herald touched a folder that is not its own: %v", left)
	}
}

// TestPortInUse starts two heralds with fixed ports at one address of
// loopback. The address is this test's alone, so that no other program of
// the machine is in the way; only Linux has all of 127/8 ready for that.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs a loopback address of its own, which Linux has")
	}
	pid := os.Getpid()
	addr := fmt.Sprintf("127.%d.%d.%d", 64+pid>>16&63, pid>>8&255, 1+pid&127)
	first := startIn(t, filepath.Join(t.TempDir(), "herald"), "--ports", "fixed", "--addr", addr)

	o := checkStartRefused(t, []string{"--dir", filepath.Join(t.TempDir(), "herald"), "--ports", "fixed", "--addr", addr}, "--ports")
	for _, address := range []string{
		first.GatewaySandbox, first.GatewayProduction, first.Courier, host(t, first.HTTP), host(t, first.Activation),
	} {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(o.stderr, port) {
			return
		}
	}
	t.Errorf("got %q, want the port that is in use", o.stderr)
}

// checkStartRefused runs a `herald dev` that must not start, and whose error
// must name something.
func checkStartRefused(t *testing.T, flags []string, names string) outcome {
	t.Helper()
	o := program{args: append([]string{binary(t), "dev"}, flags...)}.run(t)
	if o.status == 0 || o.stderr == "" {
		t.Errorf("got exit status %d and %q, want a refusal", o.status, o.stderr)
	}
	if !strings.Contains(o.stderr, names) {
		t.Errorf("got %q, want it to name %s", o.stderr, names)
	}
	if strings.Contains(o.stderr, "goroutine ") {
		t.Errorf("got a stack trace: %s", o.stderr)
	}
	return o
}

// TestPrintedCurl runs the curl command that herald dev prints, as it stands,
// from another folder.
func TestPrintedCurl(t *testing.T) {
	t.Parallel()
	needCurl(t)
	h := start(t)
	commands := waitFor(t, "curl command printed by herald dev", startWithin, func() ([]string, bool) {
		c := curlCommands(h.output.String())
		return c, len(c) > 0
	})
	for i, command := range commands {
		o := tool(t, "sh", "-c", command)
		t.Logf("%s\n%s%s", command, o.stdout, o.stderr)
		received := func() ([]delivered, bool) {
			d := h.delivered(t)
			return d, len(d) > i
		}
		waitFor(t, "notification by the printed command", deliverWithin, received)
	}
}

// curlCommands finds the commands in a text that begin with curl on a line of
// their own and go on where a line ends in a backslash. A command still being
// written, without its line's end, is not among them.
func curlCommands(text string) (commands []string) {
	var open strings.Builder
	for line := range strings.Lines(text) {
		if open.Len() == 0 && !strings.HasPrefix(strings.TrimLeft(line, " \t"), "curl ") {
			continue
		}
		open.WriteString(line)
		if strings.HasSuffix(line, "\n") && !strings.HasSuffix(line, "\\\n") {
			commands = append(commands, open.String())
			open.Reset()
		}
	}
	return commands
}

func TestCurlCommands(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"none", "use curl now\n", nil},
		{"indented", "Try:\n\n  curl -v https://a\n\nthen\n", []string{"  curl -v https://a\n"}},
		{"continued", "curl \\\n  -d '{}' \\\n  https://a\nbye\n", []string{"curl \\\n  -d '{}' \\\n  https://a\n"}},
		{"cut off", "curl \\\n  -d '{}", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, curlCommands(tt.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
