package pebble

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimEnv); dir != "" {
		victim(dir)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
