package e2e

import (
	"os"
	"testing"
)

// TestDemo runs the demonstration, which is the first thing a newcomer runs:
// it ends well, says something, and leaves nothing behind.
func TestDemo(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	o := program{args: []string{binary(t), "demo"}, env: []string{"TMPDIR=" + temp}}.mustRun(t)
	if o.stdout == "" {
		t.Error("herald demo printed nothing")
	}
	left, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("herald demo left %s behind", f.Name())
	}
}
