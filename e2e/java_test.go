package e2e

import (
	"strings"
	"testing"
)

// TestJava sends from the JDK, with its own HTTP/2, by certificate.
func TestJava(t *testing.T) {
	t.Parallel()
	needJava(t)
	h := start(t)
	n := h.alert("by Java")
	o := program{
		args: append(java(t, "Push"), "https://"+h.GatewaySandbox+"/3/device/"+h.DeviceToken,
			h.CA, h.CertificateP12, n.Topic, n.ID, string(n.Payload)),
		env: []string{"P12_PASSWORD=" + h.P12Password},
	}.mustRun(t)
	if got, want := strings.TrimSpace(o.stdout), "HTTP_2 200 "+n.ID; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	h.checkDelivered(t, n)
}
