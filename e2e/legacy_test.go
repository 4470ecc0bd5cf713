package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/registry"
)

// checkDeliveredUnnamed waits for a notification that its sender could give no
// apns-id, and compares it with what was sent.
func (h *herald) checkDeliveredUnnamed(t *testing.T, want delivered) {
	t.Helper()
	got := waitFor(t, "notification "+string(want.Payload), deliverWithin, func() (delivered, bool) {
		for _, d := range h.delivered(t) {
			if string(d.Payload) == string(want.Payload) {
				return d, true
			}
		}
		return delivered{}, false
	})
	got.ReceivedAt, got.ID = want.ReceivedAt, want.ID
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delivered (-sent +received):\n%s", diff)
	}
}

// removeBench removes the app from the device that never connects, while herald
// does not run, and returns its device token and the time.
func (h *herald) removeBench(t *testing.T) (hexToken string, at time.Time) {
	t.Helper()
	f, err := folder.Open(t.Context(), h.dir, folder.MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := registry.Open(t.Context(), registry.Config{Store: f.RegistryStore(), Sealer: f.Sealer()})
	if err != nil {
		t.Fatal(err)
	}
	token, err := apns.ParseDeviceToken(h.BenchDeviceToken)
	if err != nil {
		t.Fatal(err)
	}
	address, err := r.Resolve(t.Context(), token, apns.Topic(h.Topic), apns.Sandbox)
	if err != nil {
		t.Fatal(err)
	}
	at = time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := r.Remove(t.Context(), address, at); err != nil {
		t.Fatal(err)
	}
	return token.Hex(), at
}

// TestPHPSocket sends from PHP over the legacy interface, with a ck.pem as the
// tutorials have it made, and reads the feedback.
func TestPHPSocket(t *testing.T) {
	t.Parallel()
	needTool(t, "php", "sends as PHP programs did", "php-cli")
	needTool(t, "openssl", "makes ck.pem", "openssl")
	first := start(t)
	first.stop(t)
	gone, removed := first.removeBench(t)
	h := startIn(t, first.dir, "--ports", "auto")

	const passphrase = "pushchat"
	ck := filepath.Join(t.TempDir(), "ck.pem")
	program{
		args: []string{"openssl", "pkcs12", "-in", h.CertificateP12, "-out", ck, "-passin", "env:P12", "-passout", "env:CK"},
		env:  []string{"P12=" + h.P12Password, "CK=" + passphrase},
	}.mustRun(t)

	sent := h.alert("by PHP")
	o := tool(t, "php", abs(t, "testdata/ck.php"), h.devPath(), ck, passphrase, string(sent.Payload), gone)
	want := []string{
		`{"form":"simple","written":true}`,
		`{"form":"enhanced","command":8,"status_code":8,"identifier":3,"end":true}`,
		fmt.Sprintf(`{"form":"feedback","tuples":[{"timestamp":%d,"length":32,"devtoken":"%s"}]}`, removed.Unix(), gone),
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(o.stdout), "\n")); diff != "" {
		t.Errorf("printed (-want +got):\n%s\n%s", diff, o.stderr)
	}
	h.checkDeliveredUnnamed(t, sent)
	numbered := sent
	numbered.Payload = json.RawMessage(strings.Replace(string(sent.Payload), "by PHP", "by PHP, number 1", 1))
	h.checkDeliveredUnnamed(t, numbered)
	if got := h.delivered(t); len(got) != 2 {
		t.Errorf("got %d notifications, want the two before the bad one: %+v", len(got), got)
	}
}

// TestOpenSSLSocket sends bytes made by printf through openssl s_client. That the
// good one has no answer shows by the answer, which is to the other.
func TestOpenSSLSocket(t *testing.T) {
	t.Parallel()
	needShell(t)
	h := start(t)
	sent := h.alert("by hand")
	nobodys := strings.Repeat("ab", 32)
	if o := tool(t, "sh", abs(t, "testdata/legacy.sh"), h.devPath(), "1234", string(sent.Payload), nobodys); o.stdout != "0808000004d3" {
		t.Errorf("a good one, and one to nobody's device token: got %q, want %q", o.stdout, "0808000004d3")
	}
	h.checkDeliveredUnnamed(t, sent)
}
