//go:build !race

package courier_test

// raceEnabled reports that the race detector is on.
const raceEnabled = false
