package sqlite

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(victimEnv); path != "" {
		victim(path)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
