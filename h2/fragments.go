package h2

import (
	"errors"

	"golang.org/x/net/http2"
)

// fragments is a header block as it is on the wire: the fragment in a HEADERS
// frame, and those in the CONTINUATION frames after it.
type fragments struct {
	id            uint32 // of the stream
	ends          bool   // END_STREAM was set
	open          bool   // more is to come
	encoded       []byte // so far, if it came in more than one frame
	continuations int
}

// begin returns the block that the HEADERS frame f begins; it uses the room of b.
func (b *fragments) begin(f *frame) fragments {
	return fragments{id: f.stream, ends: f.has(http2.FlagHeadersEndStream), encoded: b.encoded[:0]}
}

// block returns the fragment in the HEADERS frame f, and whether its priority
// makes the stream depend on itself (RFC 9113, 6.2).
func (f *frame) block() (p []byte, dependsOnItself bool, err error) {
	if !f.has(http2.FlagHeadersPriority) {
		p, err = f.unpad(0)
		return p, false, err
	}
	if p, err = f.unpad(prioritySectionBytes); err != nil {
		return nil, false, err
	}
	return p[prioritySectionBytes:], dependency(p) == f.stream, nil
}

// keep keeps a fragment until the rest of the block comes.
func (b *fragments) keep(p []byte) error {
	b.open = true
	if len(b.encoded)+len(p) > maxHeaderBlockBytes {
		return connError(http2.ErrCodeEnhanceYourCalm, "header block too large")
	}
	b.encoded = append(b.encoded, p...)
	return nil
}

// resume takes a CONTINUATION frame (RFC 9113, 6.10), and returns the block if
// that was the last of it, so that b is not open any more.
func (b *fragments) resume(f *frame) ([]byte, error) {
	if !b.open {
		return nil, connError(http2.ErrCodeProtocol, "CONTINUATION of no header block")
	}
	b.continuations++
	if b.continuations > maxContinuations {
		return nil, connError(http2.ErrCodeEnhanceYourCalm, "too many CONTINUATION frames")
	}
	if err := b.keep(f.payload); err != nil {
		return nil, err
	}
	b.open = !f.has(http2.FlagHeadersEndHeaders)
	return b.encoded, nil
}

// blockError returns the error for a block that the decoder does not
// understand; it is not in step any more (RFC 9113, 4.3).
func blockError(err error) error {
	code := http2.ErrCodeCompression
	if errors.Is(err, errFieldTooLarge) {
		code = http2.ErrCodeEnhanceYourCalm
	}
	return connError(code, err.Error())
}
