package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// talk is a connection for calls to an API over HTTP/1.1, one after the other. It
// does what these need and no more: the load has its core together with what it
// measures, and net/http would cost as much as the server.
type talk struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte // the request in hand
	head []byte // what all requests have in their header
}

// callTimeout is how long a call may take.
const callTimeout = time.Minute

// maxAnswer bounds the body of an answer.
const maxAnswer = 1 << 20

// openTalk connects to an address, for calls with an API key.
func openTalk(ctx context.Context, address, key string) (*talk, error) {
	conn, err := (&net.Dialer{Timeout: callTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return newTalk(conn, address, key), nil
}

// newTalk returns a talk over a connection.
func newTalk(conn net.Conn, address, key string) *talk {
	return &talk{
		conn: conn, in: bufio.NewReaderSize(conn, 4<<10),
		head: []byte("Host: " + address + "\r\nAuthorization: Bearer " + key + "\r\nContent-Type: application/json\r\n"),
	}
}

func (t *talk) close() error { return t.conn.Close() }

// call carries out a request with a body, which is a JSON object. The error is for
// an answer that does not begin with 2, too.
func (t *talk) call(method, path string, body []byte) error {
	t.out = append(append(append(append(t.out[:0], method...), ' '), path...), " HTTP/1.1\r\n"...)
	t.out = append(append(t.out, t.head...), "Content-Length: "...)
	t.out = append(strconv.AppendInt(t.out, int64(len(body)), 10), "\r\n\r\n"...)
	t.out = append(t.out, body...)
	if err := t.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return err
	}
	if _, err := t.conn.Write(t.out); err != nil {
		return err
	}
	status, said, err := t.answer()
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return fmt.Errorf("%s %s: answer %d: %s", method, path, status, said)
	}
	return nil
}

var (
	errNotHTTP    = errors.New("the answer is not one of HTTP/1.1")
	lengthName    = []byte("content-length")
	transferNames = []byte("transfer-encoding")
)

// answer reads an answer. The body is returned if the status does not begin with 2.
func (t *talk) answer() (status int, body []byte, err error) {
	line, err := t.line()
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, nil, errNotHTTP
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, errNotHTTP
	}
	length := 0
	for {
		if line, err = t.line(); err != nil {
			return 0, nil, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(name) == len(transferNames) && bytes.EqualFold(name, transferNames):
			return 0, nil, fmt.Errorf("%w with a length", errNotHTTP)
		case len(name) == len(lengthName) && bytes.EqualFold(name, lengthName):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || length < 0 || length > maxAnswer {
				return 0, nil, errNotHTTP
			}
		}
	}
	if status/100 == 2 {
		_, err = t.in.Discard(length)
		return status, nil, err
	}
	body = make([]byte, length)
	_, err = io.ReadFull(t.in, body)
	return status, body, err
}

// line returns the next line of a header, which is good until the next one.
func (t *talk) line() ([]byte, error) {
	line, err := t.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}
