//go:build linux || darwin

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// askTerminal asks the person at the terminal for a line that is not shown as
// it is typed.
func askTerminal(ctx context.Context, prompt string) (string, error) {
	return readTerminal(ctx, prompt, true)
}

// confirmTerminal asks the person at the terminal for a line that is shown as
// it is typed.
func confirmTerminal(ctx context.Context, prompt string) (string, error) {
	return readTerminal(ctx, prompt, false)
}

// readTerminal asks for a line, which may be hidden as it is typed.
func readTerminal(ctx context.Context, prompt string, hidden bool) (_ string, err error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", errNoTerminal
	}
	defer tty.Close()
	fd := int(tty.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return "", errNoTerminal
	}
	changed := *before
	if hidden {
		changed.Lflag &^= unix.ECHO
	}
	if err := unix.IoctlSetTermios(fd, setTermios, &changed); err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	defer func() {
		if back := unix.IoctlSetTermios(fd, setTermios, before); err == nil && back != nil {
			err = fmt.Errorf("terminal: %w", back)
		}
	}()
	if _, err := io.WriteString(tty, prompt); err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	if hidden {
		defer io.WriteString(tty, "\n") //nolint:errcheck // for the eye
	}
	if err := waitForLine(ctx, fd); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(io.LimitReader(tty, maxPassword+1)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("terminal: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// pollEvery is how soon an interrupt is seen while a person types.
const pollEvery = 200 * time.Millisecond

// waitForLine waits until a line was typed, or ctx ends: the terminal must get
// its echo back.
func waitForLine(ctx context.Context, fd int) error {
	for ctx.Err() == nil {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor
		n, err := unix.Poll(fds, int(pollEvery.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("terminal: %w", err)
		}
		if n > 0 {
			return nil
		}
	}
	return context.Cause(ctx)
}

// isTerminal reports whether what is written to w is seen by a person.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	return err == nil
}

// interruptible returns a reader of f whose Read ends with ctx, which nobody else
// needs to bring about: a person or a program may never write on.
func interruptible(ctx context.Context, f *os.File) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		if err := waitForLine(ctx, int(f.Fd())); err != nil {
			return 0, err
		}
		return f.Read(b)
	})
}
