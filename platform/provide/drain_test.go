package provide

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDrain proves that a request under way is answered when the push server is to
// end, and that one that does not come to its end is not
// waited for any longer than it may take.
func TestDrain(t *testing.T) {
	for _, tt := range []struct {
		name     string
		drain    time.Duration
		finishes bool
	}{
		{"answered", time.Minute, true},
		{"cut short", time.Millisecond, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ready, ended := make(chan Running, 1), make(chan error, 1)
			go func() {
				ended <- Run(ctx, Config{
					Dir: filepath.Join(t.TempDir(), "p"), Listen: "127.0.0.1:0", Drain: tt.drain,
					Logger: slog.New(slog.DiscardHandler), Ready: func(r Running) { ready <- r },
				})
			}()
			r := <-ready
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			const body = `{"id":"shop","bundle_id":"com.example.shop"}`
			if _, err := fmt.Fprintf(conn, "POST /v1/apps HTTP/1.1\r\nHost: p\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
				r.AdminKey.Reveal(), len(body)); err != nil {
				t.Fatal(err)
			}
			answers := bufio.NewReader(conn)
			if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100") { // the body is waited for
				t.Fatalf("got %q, %v", line, err)
			}
			if _, err := answers.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			stop()
			if !tt.finishes {
				if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
					t.Errorf("the connection ended with %v", err)
				}
			} else {
				if _, err := io.WriteString(conn, body); err != nil {
					t.Fatal(err)
				}
				res, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if res.StatusCode != http.StatusCreated {
					t.Errorf("got %s, want 201", res.Status)
				}
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
