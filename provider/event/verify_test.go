package event_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heraldpush/herald/provider/event"
)

// verify is the one of docs/webhooks.md.
func verify(secret string, h http.Header, body []byte) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	seconds, errTime := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || errTime != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("webhook-id"), seconds, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for got := range strings.FieldsSeq(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return true
		}
	}
	return false
}

// snippet returns the block of docs/webhooks.md in a language.
func snippet(t *testing.T, language string) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, verifying, _ := strings.Cut(string(doc), "\n## Verify them\n")
	_, rest, ok := strings.Cut(verifying, "\n```"+language+"\n")
	code, _, ended := strings.Cut(rest, "```")
	if !ok || !ended {
		t.Fatalf("docs/webhooks.md verifies in no %s", language)
	}
	return code
}

// signed returns a delivery as it goes out now, signed with another secret and the
// one of the vector.
func signed(t *testing.T) (http.Header, []byte) {
	t.Helper()
	body, now := []byte(`{"webhook":"wh_1","events":["é"]}`), time.Now()
	h := http.Header{}
	h.Set(event.HeaderID, "whd_1")
	h.Set(event.HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	other, err := event.ParseSecret("whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := event.ParseSecret(vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	h.Set(event.HeaderSignature, other.Sign("whd_1", now, body)+" "+s.Sign("whd_1", now, body))
	return h, body
}

func TestVerifyInGo(t *testing.T) {
	source, err := os.ReadFile("verify_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if code := snippet(t, "go"); !strings.Contains(string(source), code) {
		t.Errorf("docs/webhooks.md has another verify than the one that is tested:\n%s", code)
	}
	h, body := signed(t)
	if !verify(vectorSecret, h, body) {
		t.Error("a delivery is not taken")
	}
	old := h.Clone()
	old.Set(event.HeaderTimestamp, "1614265330")
	if verify(vectorSecret, h, append(body, ' ')) || verify(vectorSecret, old, body) || verify("whsec_AAAB", h, body) {
		t.Error("what is forged or old is taken")
	}
}

// What the page has for other languages is run where these are there.
func TestVerifyInOthers(t *testing.T) {
	h, body := signed(t)
	for _, tt := range []struct{ language, program, flag, call string }{
		{"python", "python3", "-c", `
import os, sys
headers = {name: os.environ[name.replace("-", "_")] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
sys.stdout.write(str(verify(os.environ["SECRET"], headers, sys.stdin.buffer.read())).lower())
`},
		{"js", "node", "-e", `
const headers = {};
for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) headers[name] = process.env[name.replace("-", "_")];
process.stdout.write(String(verify(process.env.SECRET, headers, require("node:fs").readFileSync(0))));
`},
		{"php", "php", "-r", `
foreach (["webhook-id", "webhook-timestamp", "webhook-signature"] as $name) {
    $headers[$name] = getenv(str_replace("-", "_", $name));
}
echo var_export(verify(getenv("SECRET"), $headers, file_get_contents("php://stdin")), true);
`},
	} {
		t.Run(tt.language, func(t *testing.T) {
			program, err := exec.LookPath(tt.program)
			if err != nil {
				t.Skip(err)
			}
			for want, sent := range map[string][]byte{"true": body, "false": append(bytes.Clone(body), ' ')} {
				cmd := exec.CommandContext(t.Context(), program, tt.flag, snippet(t, tt.language)+tt.call) //nolint:gosec // what the page says
				cmd.Stdin = bytes.NewReader(sent)
				cmd.Env = append(os.Environ(), "SECRET="+vectorSecret, "webhook_id="+h.Get(event.HeaderID),
					"webhook_timestamp="+h.Get(event.HeaderTimestamp), "webhook_signature="+h.Get(event.HeaderSignature))
				if got, err := cmd.CombinedOutput(); err != nil || string(got) != want {
					t.Errorf("got %s, %v, want %s", got, err, want)
				}
			}
		})
	}
}

func TestVerifyByHand(t *testing.T) {
	for _, program := range []string{"sh", "openssl", "od"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", snippet(t, "sh")) //nolint:gosec // what the page says
	cmd.Stdin = strings.NewReader(vectorBody)
	cmd.Env = append(os.Environ(), "SECRET="+vectorSecret, "ID="+vectorID, fmt.Sprint("TIMESTAMP=", vectorTime))
	if got, err := cmd.CombinedOutput(); err != nil || "v1,"+string(got) != vectorSignature {
		t.Errorf("got %s, %v, want %s", got, err, vectorSignature)
	}
}
