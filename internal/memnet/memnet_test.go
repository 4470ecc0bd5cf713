package memnet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDialAndTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n Network
		l, err := n.Listen("gateway.test:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}()
		c, err := n.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		// More than the buffer holds, so that writing waits for reading.
		sent := bytes.Repeat([]byte("push"), bufferBytes)
		go func() {
			_, _ = c.Write(sent)
			_ = c.(interface{ CloseWrite() error }).CloseWrite() //nolint:errcheck // the type is ours
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("echo: got %d bytes and %v, want %d bytes", len(got), err, len(sent))
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRefused(t *testing.T) {
	var n Network
	if _, err := n.DialContext(t.Context(), "tcp", "nobody:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialling nobody: got %v, want %v", err, syscall.ECONNREFUSED)
	}
	if _, err := n.Listen("gateway.test:2197"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("gateway.test:2197"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening twice: got %v, want %v", err, syscall.EADDRINUSE)
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		start := time.Now()
		if err := a.SetReadDeadline(start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: got %v, want a passed deadline", err)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("read waited %v, want 1m", waited)
		}
		// Moved away, the connection is good again.
		if err := a.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read: got %d, %v, want 1 byte", n, err)
		}
		// A writer whose reader takes nothing is ended by its deadline.
		if err := b.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := b.Write(make([]byte, 2*bufferBytes))
		if n != bufferBytes || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: got %d, %v, want %d and a passed deadline", n, err, bufferBytes)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		if _, err := a.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); string(got) != "last words" || err != nil {
			t.Errorf("after close: got %q, %v", got, err)
		}
		if _, err := b.Write([]byte{1}); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a closed peer: got %v, want %v", err, syscall.EPIPE)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after close: got %v, want %v", err, net.ErrClosed)
		}
	})
}
