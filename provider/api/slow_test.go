package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/internal/memnet"
)

// TestSlowBody has a request whose body does not arrive be answered when its time is
// over, whatever the limits of the server that it came to.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		var network memnet.Network
		l, err := network.Listen("api:80")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: w, ReadHeaderTimeout: time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(l) }()
		conn, err := network.DialContext(t.Context(), "tcp", "api:80")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %s\r\nContent-Length: 2\r\n\r\n{", phone, w.admin); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != 400 || !strings.Contains(string(b), string(CodeBody)) {
			t.Errorf("got %d %s, %v", answer.StatusCode, b, err)
		}
		if took := time.Since(began); took != requestTimeout {
			t.Errorf("it took %v, want %v", took, requestTimeout)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
