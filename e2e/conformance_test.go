package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// caseResult is a line of herald conformance --json.
type caseResult struct {
	Theme  string `json:"theme"`
	Name   string `json:"name"`
	Result string `json:"result"`
	Got    string `json:"got"`
	Want   string `json:"want"`
	Detail string `json:"detail"`
}

// conformance runs the verb and returns its results by what came of them.
func conformance(t *testing.T, args ...string) map[string]int {
	t.Helper()
	o := program{args: append([]string{binary(t), "conformance", "--json", "--timeout", "60s"}, args...)}.run(t)
	results := make(map[string]int)
	for line := range strings.Lines(o.stdout) {
		var r caseResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		results[r.Result]++
		if r.Result == "fail" {
			t.Errorf("%s/%s: got %s, want %s (%s)", r.Theme, r.Name, r.Got, r.Want, r.Detail)
		}
	}
	if o.status != 0 || o.stderr != "" {
		t.Errorf("exit status %d, want 0\n%s", o.status, o.stderr)
	}
	return results
}

// TestConformance runs the conformance cases as people do: against a running
// herald dev twice, as what the first run leaves behind must not be in the way of
// the second, and against the same as a gateway of which no more is known than the
// flags say.
func TestConformance(t *testing.T) {
	t.Parallel()
	h := start(t)
	if got := conformance(t, "--dev", h.dir); got["ok"] < 1000 {
		t.Errorf("sandbox: got %v, want 1000 that pass at least", got)
	}
	if got := conformance(t, "--dev", h.devPath(), "--env", "production", "--run", "^(certificate|delivery|devicetoken|goaway|tls|topic)/"); got["ok"] < 200 {
		t.Errorf("production: got %v, want 200 that pass at least", got)
	}

	target := []string{
		"--target", h.GatewaySandbox, "--ca", h.CA, "--server-name", h.ServerName,
		"--cert", h.CertificatePEM, "--key", h.Key, "--key-id", h.KeyID, "--team", h.TeamID, "--topic", h.Topic,
	}
	if got := conformance(t, target...); got["ok"] < 500 || got["skip"] < 300 {
		t.Errorf("without leave to deliver: got %v, want 500 that pass and 300 that are skipped at least", got)
	}
	if got := h.delivered(t); len(got) != 0 {
		t.Errorf("without leave to deliver the device received %d notifications", len(got))
	}
	with := append(target, "--deliver", "--device-token", h.BenchDeviceToken)
	if got := conformance(t, with...); got["ok"] < 900 {
		t.Errorf("with leave to deliver: got %v, want 900 that pass at least", got)
	}
}
