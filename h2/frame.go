package h2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// Figures of RFC 9113 that are Apple's too (docs/protocol/provider.md#http2-settings).
const (
	frameHeaderBytes     = 9
	maxFrameBytes        = 16384     // of payload, in both directions unless the peer allows more
	headerTableBytes     = 4096      // HPACK dynamic table
	initialWindowBytes   = 65535     // of each stream, and of the connection at its start
	maxWindowBytes       = 1<<31 - 1 // RFC 9113, 6.9.1
	maxStreamID          = 1<<31 - 1
	prioritySectionBytes = 5 // in HEADERS
)

// clientPreface is what the peer sends first (RFC 9113, 3.4).
const clientPreface = http2.ClientPreface

// appendFrameHeader appends the header of a frame whose payload has n bytes
// (RFC 9113, 4.1):
//
//	length 3 | type 1 | flags 1 | reserved bit and stream 4
func appendFrameHeader(dst []byte, n int, t http2.FrameType, f http2.Flags, stream uint32) []byte {
	dst = append(dst, byte(n>>16), byte(n>>8), byte(n), byte(t), byte(f))
	return binary.BigEndian.AppendUint32(dst, stream)
}

// splitHeaders finishes the HEADERS frame that begins at start and has been
// appended with no length: it sets the length, or cuts the header block into
// CONTINUATION frames if it is larger than a frame (RFC 9113, 6.10).
func splitHeaders(dst []byte, start int) []byte {
	h := dst[start:]
	n := len(h) - frameHeaderBytes
	if n <= maxFrameBytes {
		h[0], h[1], h[2] = byte(n>>16), byte(n>>8), byte(n)
		return dst
	}
	flags, id := http2.Flags(h[4])&^http2.FlagHeadersEndHeaders, binary.BigEndian.Uint32(h[5:])
	block := append([]byte(nil), h[frameHeaderBytes:]...)
	dst = dst[:start]
	t := http2.FrameHeaders
	for len(block) > 0 {
		n := min(len(block), maxFrameBytes)
		if n == len(block) {
			flags |= http2.FlagHeadersEndHeaders
		}
		dst = appendFrameHeader(dst, n, t, flags, id)
		dst = append(dst, block[:n]...)
		block = block[n:]
		t, flags = http2.FrameContinuation, 0
	}
	return dst
}

// appendSettings appends a SETTINGS frame (RFC 9113, 6.5.1).
func appendSettings(dst []byte, settings ...http2.Setting) []byte {
	dst = appendFrameHeader(dst, settingBytes*len(settings), http2.FrameSettings, 0, 0)
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.ID))
		dst = binary.BigEndian.AppendUint32(dst, s.Val)
	}
	return dst
}

// appendSettingsAck appends the SETTINGS frame that acknowledges one of the peer's.
func appendSettingsAck(dst []byte) []byte {
	return appendFrameHeader(dst, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
}

// appendPing appends a PING frame (RFC 9113, 6.7).
func appendPing(dst []byte, ack bool, data [8]byte) []byte {
	var f http2.Flags
	if ack {
		f = http2.FlagPingAck
	}
	dst = appendFrameHeader(dst, len(data), http2.FramePing, f, 0)
	return append(dst, data[:]...)
}

// appendWindowUpdate appends a WINDOW_UPDATE frame; stream 0 is the
// connection (RFC 9113, 6.9).
func appendWindowUpdate(dst []byte, stream, increment uint32) []byte {
	dst = appendFrameHeader(dst, 4, http2.FrameWindowUpdate, 0, stream)
	return binary.BigEndian.AppendUint32(dst, increment)
}

// appendRSTStream appends a RST_STREAM frame (RFC 9113, 6.4).
func appendRSTStream(dst []byte, stream uint32, code http2.ErrCode) []byte {
	dst = appendFrameHeader(dst, 4, http2.FrameRSTStream, 0, stream)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

// appendGoAway appends a GOAWAY frame (RFC 9113, 6.8):
//
//	last stream 4 | error code 4 | debug data
//
// Debug data beyond the largest frame is cut off.
func appendGoAway(dst []byte, last uint32, code http2.ErrCode, debugData []byte) []byte {
	debugData = debugData[:min(len(debugData), maxFrameBytes-8)]
	dst = appendFrameHeader(dst, 8+len(debugData), http2.FrameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, debugData...)
}
