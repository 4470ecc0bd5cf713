//go:build !linux

package main

import "os"

// onFullDisk cannot be had here; its script is skipped.
func onFullDisk() { os.Exit(exitUsage) }
