package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// onFullDisk is the program on a disk that has room for a kilobyte: no file
// grows larger.
func onFullDisk() {
	signal.Ignore(unix.SIGXFSZ) // writing fails, as it does on a full disk
	const room = 1 << 10
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: room, Max: room}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	os.Exit(run(context.Background(), os.Args[1:], streams{out: os.Stdout, err: os.Stderr}))
}
