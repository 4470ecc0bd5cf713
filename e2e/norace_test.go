//go:build !race

package e2e

// raceEnabled says whether herald is built with the race detector.
const raceEnabled = false
