package faults

import "fmt"

// ErrorCode is the code in RST_STREAM and GOAWAY (RFC 9113 section 7).
type ErrorCode uint32

// The codes that this package names itself.
const (
	noError       ErrorCode = 0
	internalError ErrorCode = 2
	refusedStream ErrorCode = 7
)

// codeNames are the names of the codes, in their order.
var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
	"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

func (c ErrorCode) known() bool { return int64(c) < int64(len(codeNames)) }

// String returns the code's name in the RFC.
func (c ErrorCode) String() string {
	if !c.known() {
		return fmt.Sprintf("ErrorCode(%d)", uint32(c))
	}
	return codeNames[c]
}

// MarshalText implements encoding.TextMarshaler.
func (c ErrorCode) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the name of a code.
func (c *ErrorCode) UnmarshalText(b []byte) error {
	for i, name := range codeNames {
		if string(b) == name {
			*c = ErrorCode(i)
			return nil
		}
	}
	return fmt.Errorf("%.40q is no error code of HTTP/2", b)
}
