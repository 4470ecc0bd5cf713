package e2e

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// script is the shell script that makes a provider token.
const script = "testdata/provider-token.sh"

// answer is what curl shows of an answer of the gateway.
type answer struct {
	status  int
	version string // of HTTP
	header  http.Header
	body    string
}

// curl sends a request to a URL path of the sandbox gateway and returns the
// answer. It fails the test where there is none.
func (h *herald) curl(t *testing.T, path string, args ...string) answer {
	t.Helper()
	return h.curlURL(t, "https://"+h.GatewaySandbox+path, args...)
}

// curlURL is curl for a whole URL.
func (h *herald) curlURL(t *testing.T, url string, args ...string) answer {
	t.Helper()
	dir := t.TempDir()
	header, body := filepath.Join(dir, "header"), filepath.Join(dir, "body")
	o := tool(t, append([]string{
		"curl", "--disable", "--silent", "--show-error", "--max-time", "20",
		"--cacert", h.CA, "--dump-header", header, "--output", body,
		"--write-out", "%{http_code} %{http_version}", url,
	}, args...)...)
	a := answer{body: read(t, body)}
	if _, err := fmt.Sscan(o.stdout, &a.status, &a.version); err != nil {
		t.Fatalf("curl printed %q: %v", o.stdout, err)
	}
	_, fields, _ := strings.Cut(read(t, header), "\r\n") // after the status line
	mime, err := textproto.NewReader(bufio.NewReader(strings.NewReader(fields))).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("header of the answer: %v\n%s", err, fields)
	}
	a.header = http.Header(mime)
	return a
}

// read returns what a file holds, nothing where there is no file: curl makes
// none for a body that is empty.
func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// send sends d to a device token of the sandbox by certificate.
func (h *herald) send(t *testing.T, deviceToken string, d delivered) answer {
	t.Helper()
	return h.curl(t, "/3/device/"+deviceToken, slices.Concat([]string{"--http2"}, h.certificate(), d.arguments())...)
}

// certificate returns the arguments that have curl present the certificate.
func (h *herald) certificate() []string { return []string{"--cert", h.CertificatePEM} }

// providerToken returns the arguments that have curl send a provider token
// made at the shell.
func (h *herald) providerToken(t *testing.T) []string {
	t.Helper()
	jwt := strings.TrimSpace(tool(t, "sh", abs(t, script), h.devPath()).stdout)
	file := filepath.Join(t.TempDir(), "authorization")
	if err := os.WriteFile(file, []byte("authorization: bearer "+jwt+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--header", "@" + file}
}

// arguments returns those that have curl send d, without a credential.
func (d delivered) arguments() []string {
	return []string{
		"--header", "apns-topic: " + d.Topic,
		"--header", "apns-id: " + d.ID,
		"--header", "apns-push-type: " + d.PushType,
		"--header", fmt.Sprintf("apns-priority: %d", d.Priority),
		"--data-binary", string(d.Payload),
	}
}

// alert returns a notification to send that no other test sends.
func (h *herald) alert(text string) delivered {
	return delivered{
		Topic:    h.Topic,
		ID:       newID(),
		PushType: "alert",
		Priority: 10,
		Payload:  json.RawMessage(fmt.Sprintf(`{"aps":{"alert":{"title":"e2e","body":%q},"badge":7,"sound":"default"}}`, text)),
	}
}

// newID returns a new UUID, in lower case.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// abs returns the absolute form of a path in this folder.
func abs(t *testing.T, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkAccepted checks that a is the answer to a notification accepted.
func checkAccepted(t *testing.T, a answer, id string) {
	t.Helper()
	if a.status != http.StatusOK || a.body != "" {
		t.Fatalf("got %d %s, want 200 without a body", a.status, a.body)
	}
	if a.version != "2" {
		t.Errorf("got HTTP/%s, want HTTP/2", a.version)
	}
	if got := a.header.Get("apns-id"); got != id {
		t.Errorf("apns-id: got %q, want %q as given", got, id)
	}
}

func TestCurlDelivers(t *testing.T) {
	t.Parallel()
	needCurl(t)
	h := start(t)
	path := "/3/device/" + h.DeviceToken

	background := h.alert("")
	background.PushType, background.Priority = "background", 5
	background.Payload = json.RawMessage(`{"aps":{"content-available":1},"order":[1,2.5,{"ß":"日本語"}]}`)

	shouted := h.alert("apns-id in upper case")
	shouted.ID = strings.ToUpper(shouted.ID)

	for _, tt := range []struct {
		name  string
		token bool // provider token, else certificate
		send  delivered
		args  []string
	}{
		{"certificate", false, h.alert("by certificate"), []string{"--http2"}},
		{"provider token", true, h.alert("by provider token"), []string{"--http2"}},
		{"certificate without ALPN", false, h.alert("by certificate, no ALPN"), []string{"--http2-prior-knowledge", "--no-alpn"}},
		{"provider token without ALPN", true, h.alert("by provider token, no ALPN"), []string{"--http2-prior-knowledge", "--no-alpn"}},
		{"background", false, background, []string{"--http2"}},
		{"upper case", false, shouted, []string{"--http2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			credential := h.certificate()
			if tt.token {
				needShell(t)
				credential = h.providerToken(t)
			}
			a := h.curl(t, path, slices.Concat(tt.args, credential, tt.send.arguments())...)
			checkAccepted(t, a, tt.send.ID)
			h.checkDelivered(t, tt.send)
		})
	}

	t.Run("by Apple's host name", func(t *testing.T) {
		n := h.alert("to Apple's name")
		to := []string{"--http2", "--connect-to", "api.sandbox.push.apple.com:443:" + h.GatewaySandbox}
		a := h.curlURL(t, "https://api.sandbox.push.apple.com"+path, slices.Concat(to, h.certificate(), n.arguments())...)
		checkAccepted(t, a, n.ID)
		h.checkDelivered(t, n)
	})

	t.Run("by a PKCS#12 file", func(t *testing.T) {
		n := h.alert("by PKCS#12")
		o := program{ // the password goes by standard input: arguments can be seen by all
			args: append([]string{
				"curl", "--disable", "--silent", "--show-error", "--fail", "--max-time", "20", "--http2",
				"--config", "-", "--cacert", h.CA, "https://" + h.GatewaySandbox + path,
			}, n.arguments()...),
			stdin: fmt.Sprintf("cert-type = P12\ncert = %q\npass = %q\n", h.CertificateP12, h.P12Password),
		}.mustRun(t)
		if o.stdout != "" {
			t.Errorf("got body %q, want none", o.stdout)
		}
		h.checkDelivered(t, n)
	})

	t.Run("many on one connection", func(t *testing.T) {
		const n = 50
		var config bytes.Buffer
		ids := make(map[string]bool, n)
		for i := range n {
			if i > 0 {
				fmt.Fprintln(&config, "next")
			}
			id := newID()
			ids[strings.ToLower(id)] = true
			fmt.Fprintf(&config, "url = \"https://%s/3/device/%s\"\nhttp2\nfail\nsilent\nshow-error\n", h.GatewaySandbox, h.DeviceToken)
			fmt.Fprintf(&config, "cacert = %q\ncert = %q\n", h.CA, h.CertificatePEM)
			fmt.Fprintf(&config, "header = \"apns-topic: %s\"\nheader = \"apns-id: %s\"\n", h.Topic, id)
			fmt.Fprintf(&config, "data-binary = \"{\\\"aps\\\":{\\\"alert\\\":\\\"%d\\\"}}\"\n", i)
			fmt.Fprintf(&config, "write-out = \"%%{http_code} %%{num_connects}\\n\"\n")
		}
		o := program{args: []string{"curl", "--disable", "--config", "-"}, stdin: config.String()}.mustRun(t)
		connects := 0
		for line := range strings.Lines(o.stdout) {
			var status, made int
			if _, err := fmt.Sscan(line, &status, &made); err != nil || status != http.StatusOK {
				t.Errorf("got %q, want status 200", line)
			}
			connects += made
		}
		if connects != 1 {
			t.Errorf("curl made %d connections, want 1", connects)
		}
		// One topic holds one stored notification, so a device that is a
		// moment late may miss some that a later one replaced: never the last.
		seen := func() (delivered, bool) {
			for _, d := range h.delivered(t) {
				if strings.Contains(string(d.Payload), fmt.Sprintf(`"alert":"%d"`, n-1)) {
					return d, true
				}
			}
			return delivered{}, false
		}
		if last := waitFor(t, "last notification", deliverWithin, seen); !ids[strings.ToLower(last.ID)] {
			t.Errorf("the last notification came as %q, an id that was not sent", last.ID)
		}
	})
}

func TestCurlIsRefused(t *testing.T) {
	t.Parallel()
	needCurl(t)
	h := start(t)
	path := "/3/device/" + h.DeviceToken
	forged := strings.Repeat("00fe", 16)

	for _, tt := range []struct {
		name   string
		path   string
		with   []string // credential
		args   []string // in place of those of a good notification, after them
		status int
		reason string
	}{
		{"garbage device token", "/3/device/garbage", h.certificate(), nil, 400, "BadDeviceToken"},
		{"forged device token", "/3/device/" + forged, h.certificate(), nil, 400, "BadDeviceToken"},
		{"no device token", "/3/device/", h.certificate(), nil, 400, "MissingDeviceToken"},
		{"no credential", path, nil, nil, 403, "MissingProviderToken"},
		{"no provider token", path, []string{"--header", "authorization: bearer no.such.token"}, nil, 403, "InvalidProviderToken"},
		{"wrong path", "/4/device/" + h.DeviceToken, h.certificate(), nil, 404, "BadPath"},
		{"GET", path, h.certificate(), []string{"--get"}, 405, "MethodNotAllowed"},
		{"empty body", path, h.certificate(), []string{"--data-binary", ""}, 400, "PayloadEmpty"},
		{"bad priority", path, h.certificate(), []string{"--header", "apns-priority: 7"}, 400, "BadPriority"},
		{"bad expiration", path, h.certificate(), []string{"--header", "apns-expiration: soon"}, 400, "BadExpirationDate"},
		{"bad push type", path, h.certificate(), []string{"--header", "apns-push-type: shout"}, 400, "InvalidPushType"},
		{"topic of another", path, h.certificate(), []string{"--header", "apns-topic: com.example.of-another"}, 400, "TopicDisallowed"},
		{"long collapse id", path, h.certificate(), []string{"--header", "apns-collapse-id: " + strings.Repeat("x", 65)}, 400, "BadCollapseId"},
		{"large payload", path, h.certificate(), []string{"--data-binary", `{"aps":{"alert":"` + strings.Repeat("x", 4096) + `"}}`}, 413, "PayloadTooLarge"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := newID()
			a := h.curl(t, tt.path, slices.Concat([]string{"--http2"}, tt.with, request(id, h.Topic, tt.args))...)
			checkRefused(t, a, tt.status, tt.reason)
			if got := a.header.Get("apns-id"); got != id {
				t.Errorf("apns-id: got %q, want %q as given", got, id)
			}
		})
	}

	t.Run("device token of the other environment", func(t *testing.T) {
		args := slices.Concat([]string{"--http2"}, h.certificate(), h.alert("to production").arguments())
		a := h.curlURL(t, "https://"+h.GatewayProduction+path, args...)
		checkRefused(t, a, 400, "BadDeviceToken")
	})

	if got := h.delivered(t); len(got) != 0 {
		t.Errorf("refused notifications reached the device: %+v", got)
	}
}

// request returns the arguments of a good notification, but for those given.
func request(id, topic string, instead []string) []string {
	args := []string{"--header", "apns-id: " + id}
	given := strings.Join(instead, "\n")
	if !strings.Contains(given, "apns-topic:") {
		args = append(args, "--header", "apns-topic: "+topic)
	}
	if !strings.Contains(given, "--data-binary") && !strings.Contains(given, "--get") {
		args = append(args, "--data-binary", `{"aps":{"alert":"refused"}}`)
	}
	return append(args, instead...)
}

// checkRefused checks that a is a refusal in the form that all clients read.
func checkRefused(t *testing.T, a answer, status int, reason string) {
	t.Helper()
	var body struct {
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("got %d with body %q, want JSON: %v", a.status, a.body, err)
	}
	if a.status != status || body.Reason != reason {
		t.Errorf("got %d %s, want %d %s", a.status, body.Reason, status, reason)
	}
	if got := a.header.Get("content-type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("content-type: got %q, want application/json", got)
	}
}
