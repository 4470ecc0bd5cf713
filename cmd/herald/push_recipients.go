package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"sync/atomic"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
)

// maxTokenLine bounds a line of a file with device tokens, in bytes.
const maxTokenLine = 4096

// recipients are where a run pushes to: some device tokens, or those of a file,
// which is read as the pushes go out.
type recipients struct {
	tokens []apns.DeviceToken
	file   *os.File // nil if there is none
	name   string   // of the file

	stopped atomic.Bool // no more are to be pushed to
	err     error       // of reading; to be asked for when the pushes are over
}

// recipients returns where the flags say to push to.
func (c pushCmd) recipients(with sending) (*recipients, error) {
	r := &recipients{}
	switch {
	case c.Broadcast != "":
		return r, nil
	case c.Tokens == "-":
		r.file, r.name = os.Stdin, "standard input"
		return r, nil
	case c.Tokens != "":
		var err error
		if r.file, err = os.Open(c.Tokens); err != nil {
			return nil, unreadable(err)
		}
		r.name = plain(c.Tokens)
		return r, nil
	case len(c.DeviceTokens) == 0 && with.device == "":
		return nil, withHint(usageError("where to?"), "the virtual device of herald dev is in the sandbox: in production, give device tokens or --tokens FILE.")
	case len(c.DeviceTokens) == 0:
		r.tokens = []apns.DeviceToken{with.device}
		return r, nil
	}
	for i, text := range c.DeviceTokens {
		t, err := apnsclient.ParseDeviceToken(text)
		if err != nil {
			problem, remedy := deviceTokenProblem(err)
			return nil, withHint(usageError("device token %d of %d: %s", i+1, len(c.DeviceTokens), problem), "%s.", remedy)
		}
		r.tokens = append(r.tokens, t)
	}
	return r, nil
}

// deviceTokenProblem returns what is wrong with a device token, and what to do.
func deviceTokenProblem(err error) (problem, remedy string) {
	if e, ok := errors.AsType[*apnsclient.DeviceTokenError](err); ok {
		return e.Problem, e.Remedy
	}
	return err.Error(), "give it in hex"
}

// many reports whether there may be so many that not each is worth a line.
func (r *recipients) many() bool { return r.file != nil }

// close closes the file.
func (r *recipients) close() {
	if r.file != nil && r.file != os.Stdin {
		_ = r.file.Close() // it was read
	}
}

// stop has no further pushes begin.
func (r *recipients) stop() { r.stopped.Store(true) }

// line is where a push of a file comes from.
type line struct {
	number int
	err    error // why it is no device token
}

// pushes yields a push of n for each recipient, until ctx ends. It is used once.
func (r *recipients) pushes(ctx context.Context, n *apns.Notification) iter.Seq[apnsclient.Push] {
	return func(yield func(apnsclient.Push) bool) {
		for _, t := range r.tokens {
			if r.stopped.Load() || !yield(apnsclient.Push{To: t, Notification: n}) {
				return
			}
		}
		if r.file != nil {
			r.err = r.readLines(ctx, n, yield)
		}
	}
}

// readLines yields a push for each line of the file. Empty ones and those that
// begin with # are none.
func (r *recipients) readLines(ctx context.Context, n *apns.Notification, yield func(apnsclient.Push) bool) error {
	lines := bufio.NewReaderSize(interruptible(ctx, r.file), maxTokenLine)
	for number := 1; ; number++ {
		raw, isPrefix, err := lines.ReadLine()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // that it was interrupted is said elsewhere
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return unreadable(fmt.Errorf("%s: %w", r.name, err))
		case isPrefix:
			return withHint(unreadable(fmt.Errorf("%s: line %d has more than %d bytes", r.name, number, maxTokenLine)),
				"want a device token in each line, and nothing else.")
		}
		text := strings.TrimSpace(string(raw))
		if number == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // as some editors begin a file
		}
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		from := line{number: number}
		to, err := apnsclient.ParseDeviceToken(text)
		from.err = err
		if r.stopped.Load() || !yield(apnsclient.Push{To: to, Notification: n, Owner: from}) {
			return nil
		}
	}
}
