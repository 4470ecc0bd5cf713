package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/internal/memnet"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// server is the other side of a ClientConn, made of frames. It lives in a
// synctest bubble: what it received, and what the client finished, is looked at
// when all is quiet.
type server struct {
	*peer
	c *ClientConn

	mu       sync.Mutex
	finished []string // a line a call
	calls    []*Call
	changes  int
}

// attend runs a client with cfg and returns its other side, which has sent
// nothing yet and has read the preface.
func attend(t *testing.T, cfg ClientConfig) *server {
	t.Helper()
	near, far := memnet.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{peer: &peer{t: t, nc: near, fr: http2.NewFramer(near, near), cancel: cancel, result: make(chan error, 1)}}
	s.enc = hpack.NewEncoder(&s.block)
	cfg.Finished = s.finish
	changed := cfg.Changed
	cfg.Changed = func() {
		s.mu.Lock()
		s.changes++
		s.mu.Unlock()
		if changed != nil {
			changed()
		}
	}
	s.c = NewClientConn(far, cfg)
	go func() { s.result <- s.c.Run(ctx) }()
	preface := make([]byte, len(clientPreface))
	if _, err := io.ReadFull(near, preface); err != nil || string(preface) != clientPreface {
		t.Errorf("preface: got %q, %v", preface, err)
	}
	s.read()
	return s
}

// welcome does the same and exchanges SETTINGS.
func welcome(t *testing.T, cfg ClientConfig, settings ...http2.Setting) *server {
	t.Helper()
	s := attend(t, cfg)
	s.must(s.fr.WriteSettings(settings...))
	s.must(s.fr.WriteSettingsAck())
	s.want(
		"SETTINGS 0 8000",
		fmt.Sprintf("WINDOW_UPDATE 0 %d", connWindowBytes-initialWindowBytes),
		"SETTINGS ACK",
	)
	s.changed(1)
	return s
}

// finish notes what became of calls.
func (s *server) finish(calls []*Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range calls {
		var said []string
		var ce *CallError
		switch {
		case errors.As(call.Err, &ce) && ce.Unprocessed:
			said = append(said, ce.Code.String()+" unprocessed, "+ce.Err.Error())
		case ce != nil:
			said = append(said, ce.Code.String()+", "+ce.Err.Error())
		case call.Err != nil:
			said = append(said, call.Err.Error())
		default:
			said = append(said, strconv.Itoa(call.Status))
		}
		for _, f := range call.Answer {
			said = append(said, f.Name+"="+f.Value)
		}
		if len(call.AnswerBody) > 0 {
			said = append(said, strconv.Quote(string(call.AnswerBody)))
		}
		if call.AnswerTooLarge {
			said = append(said, "cut")
		}
		s.finished = append(s.finished, fmt.Sprintf("%v: %s", call.Owner, strings.Join(said, " ")))
		s.calls = append(s.calls, call)
	}
}

// start starts calls with a body, named by their bodies.
func (s *server) start(bodies ...string) []*Call {
	s.t.Helper()
	var calls []*Call
	for _, body := range bodies {
		call := &Call{Fields: []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/"}}, Body: []byte(body), Owner: body[:min(len(body), 10)]}
		if err := s.c.Start(call); err != nil {
			s.t.Errorf("starting %s: %v", call.Owner, err)
		}
		calls = append(calls, call)
	}
	return calls
}

// refuses fails the test unless Start returns want.
func (s *server) refuses(want error) {
	s.t.Helper()
	call := &Call{Fields: []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/"}}, Body: []byte("refused"), Owner: "refused"}
	if err := s.c.Start(call); !errors.Is(err, want) {
		s.t.Errorf("Start: got %v, want %v", err, want)
	}
}

// wantFinished waits for quiet and fails the test unless exactly these calls
// were finished since the last call.
func (s *server) wantFinished(want ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(want, s.finished); diff != "" {
		s.t.Errorf("finished (-want +got):\n%s", diff)
	}
	s.finished = nil
}

// changed fails the test unless Changed was called n times since the last call.
func (s *server) changed(n int) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != n {
		s.t.Errorf("Changed: got %d calls, want %d", s.changes, n)
	}
	s.changes = 0
}

// over waits for Run and returns what it returned; no call may be in progress
// then.
func (s *server) over() error {
	s.t.Helper()
	err := s.ended()
	if st := s.c.State(); st.Active != 0 || !st.Going {
		s.t.Errorf("State after Run: got %+v", st)
	}
	if err := s.nc.Close(); err != nil {
		s.t.Errorf("closing: %v", err)
	}
	return err
}

// part has the client leave and waits for Run, which must return nil.
func (s *server) part() {
	s.t.Helper()
	s.c.GoAway()
	if err := s.over(); err != nil {
		s.t.Errorf("Run: got %v, want nil", err)
	}
}
