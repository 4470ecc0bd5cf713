package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestNode sends from Node, with its own HTTP/2, by certificate and by provider
// token.
func TestNode(t *testing.T) {
	t.Parallel()
	needTool(t, "node", "sends as programs in Node do", "nodejs")
	h := start(t)
	for _, by := range []string{"p12", "p8"} {
		t.Run(by, func(t *testing.T) {
			n := h.alert("by Node, with the ." + by)
			o := tool(t, "node", abs(t, "testdata/push.js"), h.devPath(), by, n.ID, string(n.Payload))
			if got, want := strings.TrimSpace(o.stdout), fmt.Sprintf(`{"status":200,"id":%q,"body":""}`, n.ID); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
			h.checkDelivered(t, n)
		})
	}
}
