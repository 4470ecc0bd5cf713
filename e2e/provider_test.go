package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pushServer is a running `herald provider serve`.
type pushServer struct {
	dir    string
	host   string // of the API, with its port
	output *log
}

// startProvider runs `herald provider serve` with a port of its own, waits until it
// answers, and stops it when the test ends.
func startProvider(t *testing.T, dir string, flags ...string) *pushServer {
	t.Helper()
	p := &pushServer{dir: dir, output: new(log)}
	args := append([]string{"provider", "serve", "--dir", dir, "--listen", "127.0.0.1:0"}, flags...)
	cmd := exec.Command(binary(t), args...) //nolint:noctx // it is interrupted
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = t.TempDir(), environment(), p.output, p.output, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the provider ended with %v:\n%s", err, p.output)
		}
	})
	waitFor(t, "the provider", startWithin, func() (string, bool) { return "", strings.Contains(p.output.String(), "Ctrl-C") })
	for line := range strings.Lines(p.output.String()) {
		if address, ok := strings.CutPrefix(strings.TrimSpace(line), "API"); ok {
			_, p.host, _ = strings.Cut(address, "://")
		}
	}
	if p.host == "" {
		t.Fatalf("the provider does not say where it is:\n%s", p.output)
	}
	return p
}

// do runs a verb of `herald provider` on p.
func (p *pushServer) do(t *testing.T, args ...string) outcome {
	t.Helper()
	return tool(t, append([]string{binary(t), "provider", args[0], args[1]}, append(args[2:], "--dir", p.dir)...)...)
}

// TestProvider has libraries for APNs push through Herald's provider, unchanged, and
// receivers in other languages verify its webhooks by docs/webhooks.md alone.
func TestProvider(t *testing.T) {
	t.Parallel()
	needTool(t, "node", "sends and receives as programs in Node do", "nodejs")
	needTool(t, "php", "receives as programs in PHP do", "php-cli")
	h := start(t)
	key, leaf, root := serverFiles(t, "localhost", "push.example.com", "sandbox.push.example.com")
	p := startProvider(t, filepath.Join(t.TempDir(), "provider"), "--dev", h.dir, "--tls-cert", leaf, "--tls-key", key)
	p.do(t, "app", "add", "demo", h.Topic)
	p.do(t, "credential", "add", "--dev", h.dir)
	_, port, err := net.SplitHostPort(p.host)
	if err != nil {
		t.Fatal(err)
	}
	// What a library is told of Apple, but for the address and whom to trust.
	pointed := func(t *testing.T, address string) string {
		t.Helper()
		values := make(map[string]any)
		if err := json.Unmarshal([]byte(read(t, h.devPath())), &values); err != nil {
			t.Fatal(err)
		}
		values["gateway.sandbox"], values["ca"] = address, root
		raw, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "dev.json")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	nobody := strings.Repeat("00fe", 16)
	routed := []string{"NODE_OPTIONS=--require=" + abs(t, "testdata/route.js"), "PUSH_PORT=" + port, "NODE_EXTRA_CA_CERTS=" + root}

	t.Run("sideshow", func(t *testing.T) {
		t.Parallel()
		sideshow := buildModule(t, "sideshow", "the library sideshow/apns2")
		n := h.alert("")
		n.Payload = json.RawMessage(`{"aps":{"alert":"through the provider","badge":3},"from":"sideshow"}`)
		o := tool(t, sideshow, "-dev", pointed(t, net.JoinHostPort("localhost", port)+"/sandbox"), "-with", "token",
			"-device-token", h.DeviceToken, "-apns-id", n.ID, "-body", "through the provider")
		var got sideshowAnswer
		if err := json.Unmarshal([]byte(o.stdout), &got); err != nil {
			t.Fatal(err)
		}
		if want := (sideshowAnswer{200, "", n.ID, true}); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		h.checkDelivered(t, n)
	})
	t.Run("node-apn", func(t *testing.T) {
		t.Parallel()
		folder := installPackages(t, "nodeapn", "the library @parse/node-apn")
		n := h.alert("node-apn, through the provider")
		o := program{
			args: []string{
				"node", "push.js", pointed(t, "sandbox.push.example.com:443"), "p8", n.ID, "node-apn, through the provider", h.DeviceToken,
			},
			dir: folder, env: routed,
		}.mustRun(t)
		var got nodeAPNAnswers
		if err := json.Unmarshal([]byte(o.stdout), &got); err != nil {
			t.Fatalf("%v: %s", err, o.stdout)
		}
		if len(got.Sent) != 1 || len(got.Failed) != 0 || got.Sent[0].ID != n.ID {
			t.Fatalf("got %s", o.stdout)
		}
		h.checkDelivered(t, n)
	})
	t.Run("apns2 for Node", func(t *testing.T) {
		t.Parallel()
		folder := installPackages(t, "apns2node", "the library apns2 for Node")
		for _, tt := range []struct{ host, body, device, want string }{
			{"sandbox.push.example.com", "apns2, through the provider", h.DeviceToken, "sent"},
			{"sandbox.push.example.com", "not hex", nobody[1:] + "x", "BadDeviceToken"},
		} {
			o := program{args: []string{"node", "push.js", h.devPath(), tt.host, tt.body, tt.device}, dir: folder, env: routed}.mustRun(t)
			if got := strings.TrimSpace(o.stdout); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.body, got, tt.want)
			}
		}
		waitFor(t, "notification of apns2", deliverWithin, func() (string, bool) {
			for _, d := range h.delivered(t) {
				if strings.Contains(string(d.Payload), "apns2, through the provider") {
					return "", true
				}
			}
			return "", false
		})
	})
	for _, r := range []struct{ language, file string }{{"js", "receive.js"}, {"php", "receive.php"}} {
		t.Run("webhook in "+r.language, func(t *testing.T) {
			t.Parallel()
			p.testWebhook(t, r.language, r.file)
		})
	}
}

// testWebhook has a receiver, a program of testdata behind what docs/webhooks.md has for
// its language, take what p posts and nothing else.
func (p *pushServer) testWebhook(t *testing.T, language, file string) {
	t.Helper()
	code := read(t, filepath.Join("testdata", file))
	for _, b := range codeBlocks(t, "../docs/webhooks.md") {
		if b.language == language {
			code = b.text + code
		}
	}
	command := "node"
	if language == "php" {
		command, code = "php", "<?php\n"+code
	}
	dir := t.TempDir()
	path, secret := filepath.Join(dir, file), filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	// The test's context ends before its cleanups, this one after.
	ctx, kill := context.WithTimeout(context.WithoutCancel(t.Context()), 5*toolWithin)
	cmd := exec.CommandContext(ctx, command, path)
	cmd.Env, cmd.Stderr = append(environment(), "SECRET_FILE="+secret), os.Stderr
	stdin, err := cmd.StdinPipe() // which the receiver in Node ends with
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill()
		_, _ = stdin.Close(), cmd.Wait() // it was killed
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%s/hook", strings.TrimSpace(port))
	var made struct{ ID string }
	o := p.do(t, "webhook", "add", url, "--out", secret, "--json")
	if err := json.Unmarshal([]byte(o.stdout), &made); err != nil {
		t.Fatalf("%v: %s", err, o.stdout)
	}
	p.do(t, "webhook", "test", made.ID) // status 0 says that it was taken

	forged, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"webhook":"wh_1","events":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	forged.Header.Set("webhook-id", "whd_1")
	forged.Header.Set("webhook-timestamp", fmt.Sprint(time.Now().Unix()))
	forged.Header.Set("webhook-signature", "v1,"+strings.Repeat("A", 43)+"=")
	answer, err := http.DefaultClient.Do(forged)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Error(err)
	}
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a forged delivery was answered with %d", answer.StatusCode)
	}
}
