//go:build race

package e2e

// raceEnabled says that herald is built with the race detector. A race that it
// finds shows as exit status 66, where the tests want 0.
const raceEnabled = true
