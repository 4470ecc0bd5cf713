package e2e

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// mockVariable names a folder with the source of baobabus/go-apnsmock. The module
// proxy does not serve it, so that nothing can be built of it without.
const mockVariable = "HERALD_APNSMOCK"

// TestAPNSMock has the client library push, alone and in bulk, to somebody else's
// mock of the service.
func TestAPNSMock(t *testing.T) {
	t.Parallel()
	source := os.Getenv(mockVariable)
	if source == "" {
		t.Skipf("the module proxy has no github.com/baobabus/go-apnsmock: check it out, and set %s to the folder", mockVariable)
	}
	m := startMock(t, source)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(m.Root))
	s, err := apnsclient.New(apnsclient.Config{
		Environment: apns.Production, Host: m.Addr, ServerName: "example.com", Roots: roots, ProviderTokens: providerTokens(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	hello := apns.Notification{Topic: "com.example.demo", Payload: apns.Payload(`{"aps":{"alert":"Hello"}}`)}
	// The mock goes by the first letter of the device token and of the topic.
	for _, tt := range []struct {
		name   string
		token  string
		change func(*apns.Notification)
		want   apns.Reason
	}{
		{"accepted", "ab", func(*apns.Notification) {}, ""},
		{"bad", "1b", func(*apns.Notification) {}, apns.BadDeviceToken},
		{"unregistered", "2b", func(*apns.Notification) {}, apns.Unregistered},
		{"for another topic", "cb", func(*apns.Notification) {}, apns.DeviceTokenNotForTopic},
		{"topic", "ab", func(n *apns.Notification) { n.Topic = "disallowed" }, apns.TopicDisallowed},
		{"priority", "ab", func(n *apns.Notification) { n.Priority = apns.PriorityPower }, apns.BadPriority},
	} {
		to, err := apns.ParseDeviceToken(tt.token)
		if err != nil {
			t.Fatal(err)
		}
		n := hello
		tt.change(&n)
		_, err = s.Push(t.Context(), to, n)
		if tt.want == "" && err != nil || tt.want != "" && !errors.Is(err, apns.Reject(tt.want, "")) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	const pushes = 2000
	got := make(map[apnsclient.Outcome]int)
	for r := range s.PushAll(t.Context(), func(yield func(apnsclient.Push) bool) {
		for i := range pushes {
			to := apns.DeviceToken(fmt.Sprintf("\xab%031d", i))
			if i%10 == 0 {
				to = apns.DeviceToken(fmt.Sprintf("\x2b%031d", i))
			}
			if !yield(apnsclient.Push{To: to, Notification: &hello}) {
				return
			}
		}
	}) {
		got[apnsclient.OutcomeOf(r.Err)]++
	}
	if got[apnsclient.Accepted] != pushes*9/10 || got[apnsclient.TokenGone] != pushes/10 {
		t.Errorf("in bulk: got %v", got)
	}
}

// mock is what testdata/apnsmock says of itself.
type mock struct {
	Addr string `json:"addr"`
	Root string `json:"root"`
}

// startMock builds testdata/apnsmock on the source given, and runs it until the test
// ends.
func startMock(t *testing.T, source string) (m mock) {
	t.Helper()
	source, err := filepath.Abs(source)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "apnsmock"))); err != nil {
		t.Fatal(err)
	}
	module := "module apnsmock\n\ngo 1.26.0\n\nrequire github.com/baobabus/go-apnsmock v0.0.0\n\nreplace github.com/baobabus/go-apnsmock => " + source + "\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"GOWORK=off", "GOFLAGS=-mod=mod"}
	program{args: []string{"go", "mod", "tidy"}, dir: dir, env: env}.mustRun(t)
	program{args: []string{"go", "build", "-o", "mock", "."}, dir: dir, env: env}.mustRun(t)

	cmd := exec.Command(filepath.Join(dir, "mock")) //nolint:noctx // the end of its input ends it
	cmd.WaitDelay = time.Second
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
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the mock: %v", err)
		}
	})
	if err := json.NewDecoder(out).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}
