package e2e

import (
	"strings"
	"testing"
)

// TestPHP sends from PHP, where the older walkthroughs of push began.
func TestPHP(t *testing.T) {
	t.Parallel()
	needTool(t, "php", "sends as PHP programs do", "php-cli")
	if modules := tool(t, "php", "-m").stdout; !strings.Contains(modules, "\ncurl\n") {
		lack(t, "this php is without curl; Debian has it in the package php-curl")
	}
	h := start(t)
	n := h.alert("by PHP")
	o := tool(t, "php", abs(t, "testdata/push.php"), h.devPath(), n.ID, string(n.Payload))
	if got, want := strings.TrimSpace(o.stdout), `{"status":200,"body":""}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	h.checkDelivered(t, n)
}
