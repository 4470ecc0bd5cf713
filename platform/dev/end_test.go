package dev

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"testing"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
)

// TestDeviceLeavesFirst proves that the courier is there until the virtual device has
// left, however long that takes, so that an interrupt is nothing to warn of.
func TestDeviceLeavesFirst(t *testing.T) {
	var log bytes.Buffer
	ctx, interrupt := context.WithCancel(t.Context())
	ready, showing, shown := make(chan Running, 1), make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			Addr: netip.MustParseAddr("127.0.0.1"), Ports: PortsAuto, Ready: func(r Running) { ready <- r },
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
			Show: func(device.Presentation) { // the device waits for it before it ends
				close(showing)
				<-shown
			},
		})
	}()
	end := sync.OnceValue(func() error {
		interrupt()
		close(shown)
		return <-done
	})
	defer func() { _ = end() }()
	var p process
	select {
	case r := <-ready:
		p.Values = r.Values
	case err := <-done:
		done <- err
		t.Fatalf("it ended: %v", err)
	}
	token, err := apns.ParseDeviceToken(p.Values[KeyDeviceToken])
	if err != nil {
		t.Fatal(err)
	}
	p.push(t, token, Topic)
	<-showing
	console := dialHTTP(t, p.Values[KeyHTTP])

	interrupt()
	if _, err := console.Read(make([]byte, 1)); err == nil { // until it is closed
		t.Error("the console: got an answer that nobody asked for")
	}
	conn, err := (&tls.Dialer{Config: &tls.Config{
		RootCAs: p.roots(t), ServerName: p.Values[KeyServerName], MinVersion: tls.VersionTLS12,
	}}).DialContext(t.Context(), "tcp", p.Values[KeyCourier])
	if err != nil {
		t.Errorf("the courier ended before the device: %v", err)
	} else {
		_ = conn.Close()
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if log.Len() > 0 {
		t.Errorf("got %q logged, want nothing", log.String())
	}
}

// dialHTTP connects to the host of a URL, and asks for nothing.
func dialHTTP(t *testing.T, at string) net.Conn {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
