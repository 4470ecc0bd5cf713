package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Limits in time of what children do.
const (
	orderTimeout = 3 * time.Minute         // for any order to be carried out
	endTimeout   = 1500 * time.Millisecond // for a child to end by itself, before it is killed
)

// child is a process that was started, and its parent's end of the talk.
type child struct {
	name string
	cmd  *exec.Cmd
	said *tail // on standard error
	// in, out and replies are of a part; nil for another program.
	in      io.WriteCloser
	orders  *json.Encoder
	replies *json.Decoder
	address string // where it listens, if that is known

	ended chan struct{} // closed once it has ended
	err   error         // how; set before that
}

// start starts a command on a core, or on any if that is less than zero. Its
// end is that of ctx at the latest.
func start(name string, cmd *exec.Cmd, core int, talks bool) (c *child, err error) {
	c = &child{name: name, cmd: cmd, said: new(tail), ended: make(chan struct{})}
	cmd.Stderr = c.said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = endTimeout
	var out *os.File
	if talks {
		if c.in, err = cmd.StdinPipe(); err != nil {
			return nil, err
		}
		c.orders = json.NewEncoder(c.in)
		// A pipe of our own: that of exec would be closed with the process, maybe
		// before its last reply was read.
		var theirs *os.File
		if out, theirs, err = os.Pipe(); err != nil {
			return nil, err
		}
		cmd.Stdout = theirs
		defer func() { _ = theirs.Close() }()
		c.replies = json.NewDecoder(out)
	} else if cmd.Stdout == nil {
		cmd.Stdout = c.said
	}
	dieWithParent(cmd)
	if err := startOn(core, cmd); err != nil {
		if out != nil {
			err = errors.Join(err, out.Close())
		}
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(c.ended)
		c.err = cmd.Wait()
		if out != nil {
			// Whoever waits for a reply learns that none will come.
			_ = out.SetReadDeadline(time.Now().Add(endTimeout))
		}
	}()
	return c, nil
}

// ask has a part carry out an order.
func (c *child) ask(o order) (r reply, err error) {
	late := time.AfterFunc(orderTimeout, c.kill)
	defer late.Stop()
	if err = c.orders.Encode(o); err == nil {
		err = c.replies.Decode(&r)
	}
	if err != nil {
		return r, fmt.Errorf("%s ended or does not answer: %w%s", c.name, err, c.said.suffix())
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s: %s%s", c.name, r.Error, c.said.suffix())
	}
	return r, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) kill() { _ = c.cmd.Process.Kill() }

// end ends the process and waits for it: politely, and soon by force.
func (c *child) end() {
	if c.in != nil {
		_ = c.in.Close()
	} else {
		_ = c.cmd.Process.Signal(os.Interrupt)
	}
	late := time.AfterFunc(endTimeout, c.kill)
	defer late.Stop()
	<-c.ended
}

// wait waits until a program has ended by itself.
func (c *child) wait(ctx context.Context) error {
	late := time.AfterFunc(orderTimeout, c.kill)
	defer late.Stop()
	<-c.ended
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.err != nil {
		return fmt.Errorf("%s: %w%s", c.name, c.err, c.said.suffix())
	}
	return nil
}

// tail keeps the beginning of what a program says, as far as there is room.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

const maxSaid = 4096

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b[:min(len(b), maxSaid-t.buf.Len())])
	return len(b), nil
}

// suffix returns what was said, to stand behind an error.
func (t *tail) suffix() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if said := strings.TrimSpace(t.buf.String()); said != "" {
		return "; it said: " + said
	}
	return ""
}
