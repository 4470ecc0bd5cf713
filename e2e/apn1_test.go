package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAPN1 drives the legacy interface with apn 1.7, through which programs in
// Node sent in its years: what comes after a bad device token it has to send
// again, by what the error says, and the feedback it reads to the end.
func TestAPN1(t *testing.T) {
	t.Parallel()
	needTool(t, "node", "sends as programs in Node did", "nodejs")
	folder := installPackages(t, "apn1", "the library apn 1.7")
	first := start(t)
	first.stop(t)
	gone, removed := first.removeBench(t)
	h := startIn(t, first.dir, "--ports", "auto")

	for i, by := range []string{h.CertificatePEM, h.CertificateP12} {
		t.Run(filepath.Ext(by), func(t *testing.T) {
			payload := fmt.Sprintf(`{"aps":{"alert":"TEXT by apn 1.7, with the %s"}}`, filepath.Ext(by))
			o := program{args: []string{"node", "push.js", h.devPath(), by, payload, gone}, dir: folder}.mustRun(t)
			want := []string{
				fmt.Sprintf(`{"event":"transmissionError","status":8,"device":"%s"}`, strings.Repeat("ab", 32)),
				fmt.Sprintf(`{"event":"feedback","tuples":[{"time":%d,"device":"%s"}]}`, removed.Unix(), gone),
			}
			if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(o.stdout), "\n")); diff != "" {
				t.Errorf("printed (-want +got):\n%s\n%s", diff, o.stderr)
			}
			for _, text := range []string{"good", "again"} {
				n := h.alert("")
				n.Payload = json.RawMessage(strings.Replace(payload, "TEXT", text, 1))
				h.checkDeliveredUnnamed(t, n)
			}
			if got := h.delivered(t); len(got) != 2*(i+1) {
				t.Errorf("got %d notifications, want 2 by each: %+v", len(got), got)
			}
		})
	}
}
