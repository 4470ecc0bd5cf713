package api

import (
	"context"
	"crypto/rand"
	"strings"
)

// newRequestID returns what a request is called: "req_" and 20 letters and digits.
func newRequestID() string { return "req_" + strings.ToLower(rand.Text()[:20]) }

type traceKey struct{}

// withTraceParent returns a context with the traceparent of a request, if it is one.
func withTraceParent(ctx context.Context, header string) context.Context {
	if !isTraceParent(header) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, header)
}

// TraceParent returns the traceparent (W3C Trace Context) with which a request came,
// empty if it had none.
func TraceParent(ctx context.Context) string {
	s, _ := ctx.Value(traceKey{}).(string)
	return s
}

// isTraceParent reports whether s is a traceparent of a version whose form is known:
// version, trace ID, parent ID and flags, in lower-case hex; later versions may have
// more behind these.
func isTraceParent(s string) bool {
	const length = 55 // 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(s) < length || len(s) > 4*length || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	version, trace, parent, flags := s[:2], s[3:35], s[36:52], s[53:55]
	if version == "ff" || version == "00" && len(s) != length || len(s) > length && s[length] != '-' {
		return false
	}
	return isHex(version) && isHex(trace) && isHex(parent) && isHex(flags) &&
		strings.Trim(trace, "0") != "" && strings.Trim(parent, "0") != ""
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') })
}
