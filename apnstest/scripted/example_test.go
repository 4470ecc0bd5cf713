package scripted_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
)

// send pushes to a device token with net/http, and writes the answer to standard output.
func send(g *scripted.Gateway, deviceToken string) {
	client := &http.Client{Transport: &http.Transport{
		DialContext: g.Dial, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: g.Roots(), MinVersion: tls.VersionTLS12},
	}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		"https://api.push.apple.com/3/device/"+deviceToken, strings.NewReader(`{"aps":{"alert":"Hello"}}`))
	if err != nil {
		log.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		log.Print(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Print(err)
	}
	fmt.Fprintln(os.Stdout, strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, body)))
}

// In a test, scripted.New(t) takes the place of Start and Close.
func Example() {
	g, err := scripted.Config{}.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	g.ReplyTo("\x00\xfe", scripted.Refuse(apns.Unregistered).Since(time.UnixMilli(1700000000123)))
	send(g, "00fe")
	send(g, "00ff")
	// Output:
	// 410 {"reason":"Unregistered","timestamp":1700000000123}
	// 200
}

func ExampleGateway_OnPush() {
	g, err := scripted.Config{}.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	g.OnPush(func(p scripted.Push) scripted.Reply {
		if p.Number%2 == 0 {
			return scripted.Refuse(apns.TooManyRequests).RetryAfter(time.Minute)
		}
		return scripted.Accept().Delay(time.Millisecond)
	})
	send(g, "00fe")
	send(g, "00fe")
	// Output:
	// 200
	// 429 {"reason":"TooManyRequests"}
}

// A sender that comes with a provider token gets one stream, and more when it was
// accepted; and no connection is for ever.
func ExampleScript() {
	g, err := scripted.Config{}.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	g.Script(scripted.Script{
		Streams: 1,
		Steps: []scripted.Step{
			{Accepted: 1, Do: scripted.Streams(1000)},
			{Pushes: 5000, Do: scripted.GoAway{}},
			{After: time.Hour, Do: scripted.GoAway{Reason: apns.IdleTimeout, Close: true}},
		},
	})
	send(g, "00fe")
	// Output:
	// 200
}
