package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The program has the time zones in it: where the system has none, as in a bare
// container, every registration with a time zone would be refused.
func TestZonesAreIncluded(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(out)), "time/tzdata") {
		t.Error("time/tzdata is not in the program")
	}
}
