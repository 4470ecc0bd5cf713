package load

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"golang.org/x/net/http2"
)

const (
	frameHeaderBytes = 9
	apnsIDBytes      = 36
	// sameID is the apns-id of all requests of shape Literal, and of the first
	// one of each connection.
	sameID = "5f0c1a9e-3b5d-4e63-9f0a-6d0f4f6f4b11"
)

// requests are all that a plan sends, encoded for any connection of which the
// first request was sent.
type requests struct {
	first   []byte // HEADERS and DATA of the first request of a connection
	good    [][]byte
	payload []byte // the DATA frame of the good ones
	bad     []badRequest
	// badEvery is after how many pushes one is bad, or 0.
	badEvery int64
	// numbered says that each apns-id, the last thing in a HEADERS frame, is
	// another one.
	numbered bool
	// stampAt is where in a good DATA frame the time of sending is written, or
	// 0.
	stampAt int
	// longest is the length of the longest request.
	longest int
}

// badRequest is a bad push, encoded.
type badRequest struct {
	head, payload []byte
	status        int
	reason        string
}

// newRequests encodes the requests of a plan.
func newRequests(p *Plan) (*requests, error) {
	rs := &requests{payload: frame(http2.FrameData, http2.FlagDataEndStream, p.Push.Payload), numbered: p.Shape == Indexed}
	if p.Push.StampAt > 0 {
		rs.stampAt = frameHeaderBytes + p.Push.StampAt
	}
	var table fieldTable
	fields := p.fields()
	first := append([]field(nil), fields...)
	if p.Shape == Indexed {
		first[len(first)-1].as = indexed // brings its name into the table
	}
	head, err := table.request(first, p.Paths[0])
	if err != nil {
		return nil, err
	}
	rs.first = append(head, rs.payload...)
	for _, path := range p.Paths {
		head, err := table.request(fields, path)
		if err != nil {
			return nil, err
		}
		rs.good = append(rs.good, head)
		rs.longest = max(rs.longest, len(head)+len(rs.payload))
	}
	for _, bad := range p.Bad {
		one, err := rs.encodeBad(&table, fields, p.Paths[0], bad)
		if err != nil {
			return nil, err
		}
		rs.bad = append(rs.bad, one)
		rs.longest = max(rs.longest, len(one.head)+len(one.payload))
	}
	if p.BadShare > 0 {
		rs.badEvery = int64(math.Round(1 / p.BadShare))
	}
	return rs, nil
}

// encodeBad encodes a bad push. What is other than in a good one does not enter
// the table.
func (rs *requests) encodeBad(table *fieldTable, fields []field, path string, bad Bad) (b badRequest, err error) {
	fields = append([]field(nil), fields...)
	for i := range fields {
		f := &fields[i]
		switch {
		case f.name == "apns-topic" && bad.Topic != "":
			f.value, f.as = bad.Topic, literal
		case f.name == "apns-priority" && bad.Priority != "":
			f.value, f.as = bad.Priority, literal
		case f.name == "content-length" && bad.Payload != nil:
			f.value, f.as = strconv.Itoa(len(bad.Payload)), literal
		}
	}
	if bad.Path != "" {
		path = bad.Path
	}
	b = badRequest{payload: rs.payload, status: bad.Status, reason: bad.Reason}
	if bad.Payload != nil {
		b.payload = frame(http2.FrameData, http2.FlagDataEndStream, bad.Payload)
	}
	b.head, err = table.request(fields, path)
	return b, err
}

// fields are the header fields of a request, in the order in which they are
// sent. That of the path has no value yet; the last one is the apns-id.
func (p *Plan) fields() []field {
	path, authorization, id := literal, indexed, literal
	if p.Shape == Literal {
		path, authorization, id = huffman, secretly, indexed
	}
	fields := []field{
		{":method", "POST", indexed},
		{":scheme", "https", indexed},
		{":authority", p.ServerName, indexed},
		{":path", "", path},
	}
	add := func(name, value string, as representation) {
		if value != "" {
			fields = append(fields, field{name, value, as})
		}
	}
	add("authorization", p.Push.Authorization, authorization)
	add("apns-topic", p.Push.Topic, indexed)
	add("apns-push-type", p.Push.PushType, indexed)
	add("apns-priority", p.Push.Priority, indexed)
	add("apns-expiration", p.Push.Expiration, indexed)
	if p.Shape == Literal { // as h2load does
		add("user-agent", "herald-bench", indexed)
		add("content-length", strconv.Itoa(len(p.Push.Payload)), huffman)
	}
	add("apns-id", sameID, id)
	return fields
}

// request returns the HEADERS frame of a request.
func (t *fieldTable) request(fields []field, path string) (head []byte, err error) {
	var block []byte
	for _, f := range fields {
		if f.name == ":path" {
			f.value = path
		}
		if block, err = t.append(block, f); err != nil {
			return nil, err
		}
	}
	return frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, block), nil
}

// frame returns a frame without its stream.
func frame(t http2.FrameType, flags http2.Flags, body []byte) []byte {
	return append(appendFrameHeader(nil, len(body), t, flags, 0), body...)
}

func appendFrameHeader(dst []byte, length int, t http2.FrameType, flags http2.Flags, stream uint32) []byte {
	dst = append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), byte(flags))
	return binary.BigEndian.AppendUint32(dst, stream)
}

// appendRequest appends a request on a stream.
func appendRequest(dst, head, payload []byte, stream uint32) []byte {
	at := len(dst)
	dst = append(append(dst, head...), payload...)
	binary.BigEndian.PutUint32(dst[at+5:], stream)
	binary.BigEndian.PutUint32(dst[at+len(head)+5:], stream)
	return dst
}

// number writes the number of a push into the apns-id that ends a head: its
// first eight digits, and the connection's own into the last twelve.
func number(head []byte, n uint32, own *[12]byte) {
	const digits = "0123456789abcdef"
	id := head[len(head)-apnsIDBytes:]
	for i := range 8 {
		id[i] = digits[n>>(4*(7-i))&15]
	}
	copy(id[apnsIDBytes-len(own):], own[:])
}

// stamp writes a time into b, as StampDigits digits.
func stamp(b []byte, t time.Time) {
	ns := uint64(max(0, t.UnixNano()))
	for i := StampDigits - 1; i >= 0; i-- {
		b[i] = '0' + byte(ns%10)
		ns /= 10
	}
}
