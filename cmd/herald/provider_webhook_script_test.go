package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// received is a delivery to a webhook, a line of what receiveHooks writes.
type received struct {
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
}

// receiveHooks receives deliveries to webhooks until the script ends, and sets HOOK
// to where. What is posted to $HOOK/NAME is a line of NAME.jsonl before it is taken,
// but that $HOOK/gone answers 410.
func receiveHooks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: receive-hooks")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
			return
		}
		b, err := io.ReadAll(r.Body)
		line, jsonErr := json.Marshal(received{r.Header, string(b)})
		if err != nil || jsonErr != nil || appendLine(ts.MkAbs(path.Base(r.URL.Path)+".jsonl"), line) != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	ts.Defer(s.Close)
	ts.Setenv("HOOK", s.URL)
}

func appendLine(name string, line []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, private)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(line, '\n'))
	return err
}

// signedWith checks that the last of the deliveries in a file is signed with each of
// the secrets that other files hold.
func signedWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: signed-with NAME.jsonl SECRETFILE...")
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	var last received
	ts.Check(json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	for _, name := range args[1:] {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(ts.ReadFile(name)), "whsec_"))
		ts.Check(err)
		mac := hmac.New(sha256.New, key)
		for _, part := range []string{last.Header.Get("webhook-id"), ".", last.Header.Get("webhook-timestamp"), ".", last.Body} {
			_, _ = io.WriteString(mac, part) // it never fails
		}
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); !strings.Contains(last.Header.Get("webhook-signature"), want) {
			ts.Fatalf("it is not signed with the secret in %s", name)
		}
	}
}
