//go:build !race

package apnsclient

const raceEnabled = false
