package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/heraldpush/herald/wire"
)

// maxAnswer bounds the answer of an agent, in bytes: a thousand apps are far
// below.
const maxAnswer = 4 << 20

// ErrNoAgent says that no agent runs in a folder.
var ErrNoAgent = errors.New("no agent runs there")

// Problem is a refusal of the agent's.
type Problem struct{ wire.Problem } //nolint:errname // the word of RFC 9457

// Error is what was wrong.
func (p *Problem) Error() string { return p.Detail }

// Remote talks to the agent that runs in a folder.
type Remote struct{ http *http.Client }

// Connect returns the agent that runs in a folder. The error wraps ErrNoAgent
// if none does.
func Connect(ctx context.Context, dir string) (*Remote, error) {
	settings, err := ReadSettings(dir)
	if err != nil {
		return nil, err
	}
	path := Config{Dir: dir, Settings: settings}.socket()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w (%w)", dir, ErrNoAgent, err)
	}
	if err := conn.Close(); err != nil {
		return nil, err
	}
	return &Remote{&http.Client{
		Timeout:   tokenWithin + 5*time.Second,
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
	}}, nil
}

// Status asks for what the agent says of itself.
func (r *Remote) Status(ctx context.Context) (s Status, err error) {
	return s, r.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// call makes a request with in as its body, and reads the answer into out. The error is a *Problem
// if the agent refuses.
func (r *Remote) call(ctx context.Context, method, path string, in, out any) error {
	text, err := body(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	res, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // what it held was read
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		p := new(Problem)
		if json.Unmarshal(answer, p) != nil || p.Detail == "" {
			return fmt.Errorf("the agent answers with status %d", res.StatusCode)
		}
		return p
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the agent's answer: %w", err)
	}
	return nil
}
