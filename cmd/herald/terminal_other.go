//go:build !linux && !darwin

package main

import (
	"context"
	"io"
	"os"
)

// askTerminal asks nobody: on this system what is typed would be shown.
func askTerminal(context.Context, string) (string, error) { return "", errNoTerminal }

// confirmTerminal asks nobody either.
func confirmTerminal(context.Context, string) (string, error) { return "", errNoTerminal }

// isTerminal reports that nobody is known to watch.
func isTerminal(io.Writer) bool { return false }

// interruptible returns a reader of f that ends with ctx before it waits.
func interruptible(ctx context.Context, f *os.File) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return f.Read(b)
	})
}
