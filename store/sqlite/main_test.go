package sqlite

import (
	"flag"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(victimEnv); path != "" {
		victim(path)
		os.Exit(1)
	}
	if raceEnabled { // the engine is slow then, and the same draws are made without
		if err := flag.Set("rapid.checks", "20"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
