//go:build race

package pain

const raceEnabled = true
