package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/http2"
)

// trial is a case on its way.
type trial struct {
	*runner
	*maker
	c    *Case
	peer *peer // nil for a connection that is not HTTP/2, or before it
	raw  *tls.Conn

	open  uint32 // stream that was left open
	opens *request
}

func (t *trial) close() {
	if t.peer != nil {
		t.peer.close()
		t.peer = nil
	}
	if t.raw != nil {
		_ = t.raw.NetConn().Close() // nothing is in it that was to arrive
		t.raw = nil
	}
}

// rehearse finds out, before anything is sent, whether the target has all that
// the case needs.
func (t *trial) rehearse() error {
	if _, err := t.certificate(t.c.Connect.Certificate, t.c.mode()); err != nil {
		return err
	}
	if _, err := t.address(""); err != nil {
		return err
	}
	steps := t.c.steps()
	for i := range steps {
		s := &steps[i]
		for name := range s.Keep {
			t.kept[name] = "to come"
		}
		if err := t.rehearseStep(s); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func (t *trial) rehearseStep(s *Step) error {
	switch {
	case s.Reconnect:
		_, err := t.address(s.At)
		return err
	case s.Act != "":
		if t.cfg.Target.Acts[s.Act] == nil {
			return &lackError{s.Act}
		}
	case s.Device != "", s.Received != nil:
		if t.cfg.Target.Watched == nil {
			return &lackError{"device that can be watched"}
		}
	case len(s.Legacy) > 0:
		_, err := t.legacyBytes(s)
		return err
	case s.Read != "":
		_, err := t.value(s.To)
		return err
	case s.isRequest(), len(s.Frames) > 0:
		_, err := t.request(s, 0)
		return err
	}
	return nil
}

// address returns the address of a name; an empty one stands for that of the
// case.
func (t *trial) address(name string) (string, error) {
	if name == "" {
		name = t.c.Connect.At
	}
	if name == "" {
		name = Gateway
	}
	a, ok := t.cfg.Target.Addresses[name]
	if !ok && name == ChannelsAddress { // a gateway may have them beside the rest
		a, ok = t.cfg.Target.Addresses[Gateway]
	}
	if !ok {
		return "", &lackError{"address of " + name}
	}
	return a, nil
}

// run takes the steps.
func (t *trial) run(ctx context.Context) error {
	if t.needsConnection() {
		if done, err := t.connect(ctx, ""); done || err != nil {
			return err
		}
	}
	steps := t.c.steps()
	for i := range steps {
		if err := t.step(ctx, &steps[i]); err != nil {
			if m, ok := errors.AsType[*mismatchError](err); ok && len(steps) > 1 {
				m.detail = strings.TrimPrefix(m.detail+", ", ", ") + fmt.Sprintf("in step %d", i+1)
			}
			return err
		}
	}
	return nil
}

// needsConnection reports whether the case connects at once: one that first has
// the operator do something does not.
func (t *trial) needsConnection() bool {
	first := t.c.steps()[0]
	return first.Act == "" || t.c.Connect.At != ""
}

// connect connects as the case says, to the address of a name. It reports that
// the case is over if it was about that alone.
func (t *trial) connect(ctx context.Context, at string) (done bool, err error) {
	t.close()
	c := t.c.Connect
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if v, ok := versions[c.TLS]; ok {
		cfg.MinVersion, cfg.MaxVersion = v, v
	}
	switch c.ALPN {
	case "":
		cfg.NextProtos = []string{http2.NextProtoTLS}
	case "none":
	default:
		cfg.NextProtos = strings.Split(c.ALPN, ",")
	}
	cert, err := t.certificate(c.Certificate, t.c.mode())
	if err != nil {
		return false, err
	}
	if cert != nil {
		// Whether or not the gateway says that it would like it.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	address, err := t.address(at)
	if err != nil {
		return false, err
	}
	conn, err := t.cfg.Target.dial(ctx, address, cfg)
	if err != nil {
		if isWanted(refusedInTLS, c.Want) && ctx.Err() == nil {
			return true, nil
		}
		return false, fmt.Errorf("connecting: %w", err)
	}
	if t.isStream() {
		t.raw = conn
		return false, nil
	}
	if t.peer, err = newPeer(ctx, conn); err == nil {
		err = t.peer.hear()
	}
	if err != nil {
		if isWanted(refusedInTLS, c.Want) && ctx.Err() == nil {
			return true, nil // under TLS 1.3 it is told only now
		}
		if t.peer.goAway != nil && t.c.steps()[0].Want == t.peer.ending() {
			return false, nil
		}
		return false, &mismatchError{got: t.peer.ending(), want: "SETTINGS", detail: err.Error()}
	}
	if c.Want == refusedInTLS {
		return false, t.wantRefused()
	}
	return false, t.checkSettings(c.Settings)
}

// refusedInTLS is the outcome of a connection that the gateway does not take.
const refusedInTLS = "refused"

// wantRefused has the gateway end a connection that TLS was to refuse.
func (t *trial) wantRefused() error {
	return &mismatchError{got: "a connection", want: "an end in TLS"}
}

// isStream reports whether the case speaks the binary interface.
func (t *trial) isStream() bool {
	return slices.ContainsFunc(t.c.steps(), func(s Step) bool { return len(s.Legacy) > 0 || s.Read != "" })
}

// step takes one step.
func (t *trial) step(ctx context.Context, s *Step) error {
	target := t.cfg.Target
	switch {
	case s.Act != "":
		return target.Acts[s.Act](ctx)
	case s.Device == "away":
		return target.Watched.Away(ctx)
	case s.Device == "back":
		return target.Watched.Back(ctx)
	case s.Received != nil:
		return t.received(ctx, *s.Received)
	case s.Reconnect:
		_, err := t.connect(ctx, s.At)
		return err
	case len(s.Legacy) > 0:
		return t.legacy(ctx, s)
	case s.Read != "":
		return t.feedback(ctx, s)
	}
	if t.peer == nil {
		if done, err := t.connect(ctx, ""); done || err != nil {
			return err
		}
	}
	switch {
	case len(s.Frames) > 0:
		return t.frames(s)
	case s.Finish:
		return t.finish(s)
	default:
		return t.push(s)
	}
}

// push sends the requests of a step and checks the answers.
func (t *trial) push(s *Step) error {
	times := max(1, s.Times)
	requests, streams := make([]*request, times), make([]uint32, times)
	some := s.Some == ""
	check := func(i int) error {
		a := t.peer.await(streams[i])
		want := s.want(t.mode)
		if i == times-1 && s.Last != "" {
			want = s.Last
		}
		got := t.peer.outcome(a)
		if s.Some != "" && isWanted(got, s.Some) {
			some = true
			return t.checkForm(s, requests[i], a)
		}
		return t.check(s, requests[i], a, got, want)
	}
	for i := range requests {
		var err error
		if requests[i], err = t.request(s, i); err != nil {
			return err
		}
		if streams[i], err = t.peer.send(requests[i], s); err != nil && t.peer.ended == nil {
			t.drain()
		}
		if s.Open {
			t.open, t.opens = streams[i], requests[i]
			continue
		}
		if !s.Together {
			if err := check(i); err != nil {
				return err
			}
		}
	}
	if s.Together {
		for i := range requests {
			if err := check(i); err != nil {
				return err
			}
		}
	}
	if !some {
		return &mismatchError{got: s.want(t.mode), want: s.Some, detail: fmt.Sprintf("none of %d", times)}
	}
	return t.after(s)
}

// drain reads what the gateway said before it would not be written to.
func (t *trial) drain() {
	for t.peer.read() == nil {
	}
}

// frames sends frames as they are and checks what becomes of the last stream, or
// of the connection.
func (t *trial) frames(s *Step) error {
	q, err := t.request(s, 0)
	if err != nil {
		return err
	}
	before := t.peer.pongs
	for _, f := range s.Frames {
		for range max(1, f.Times) {
			if t.peer.frame(f, q, s.HPACK) != nil {
				break // the gateway has enough; what it said is read below
			}
		}
	}
	want := s.want(t.mode)
	switch {
	case want == "pong":
		for t.peer.pongs == before {
			if err := t.peer.read(); err != nil {
				return &mismatchError{got: t.peer.ending(), want: want, detail: err.Error()}
			}
		}
	case strings.Contains(want, "GOAWAY") || want == closed:
		for t.peer.read() == nil && !isWanted(t.peer.outcome(t.peer.answer(t.peer.next-2)), want) {
		}
		got := t.peer.outcome(t.peer.answer(t.peer.next - 2))
		if g := t.peer.ending(); !isWanted(got, want) || g != closed {
			got = g
		}
		if !isWanted(got, want) {
			return &mismatchError{got: got, want: want, detail: t.peer.silence()}
		}
	case want == "nothing":
		if err := t.peer.settle(); err != nil {
			return &mismatchError{got: t.peer.ending(), want: want, detail: err.Error()}
		}
	default:
		a := t.peer.await(t.peer.next - 2)
		if err := t.check(s, q, a, t.peer.outcome(a), want); err != nil {
			return err
		}
	}
	return t.after(s)
}

// settingIDs are the settings by name (RFC 9113, 6.5.2).
var settingIDs = map[string]http2.SettingID{
	"header_table_size": http2.SettingHeaderTableSize, "max_concurrent_streams": http2.SettingMaxConcurrentStreams,
	"initial_window_size": http2.SettingInitialWindowSize, "max_frame_size": http2.SettingMaxFrameSize,
	"max_header_list_size": http2.SettingMaxHeaderListSize,
}

// readAll reads what a peer says until it ends, and no more than some.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b, err
}
