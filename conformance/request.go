package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// request is a request as it will be on the wire.
type request struct {
	method, path string
	pseudo       map[string]string // pseudo-headers that are set otherwise
	fields       []hpack.HeaderField
	body         []byte
}

// get returns the values of a header.
func (q *request) get(name string) (got []string) {
	for _, f := range q.fields {
		if f.Name == name {
			got = append(got, f.Value)
		}
	}
	return got
}

func (q *request) drop(name string) {
	q.fields = slices.DeleteFunc(q.fields, func(f hpack.HeaderField) bool { return f.Name == name })
}

func (q *request) add(name, value string) {
	q.fields = append(q.fields, hpack.HeaderField{Name: name, Value: value})
}

func (q *request) setPseudo(name, value string) {
	if q.pseudo == nil {
		q.pseudo = make(map[string]string)
	}
	q.pseudo[name] = value
}

// omitted is the value of a pseudo-header that is not to be sent.
const omitted = "(none)"

// all returns the headers of a request as they go out: the pseudo-headers, then
// the others.
func (q *request) all() []hpack.HeaderField {
	set := map[string]string{":method": q.method, ":scheme": "https", ":path": q.path, ":authority": "api.push.apple.com"}
	maps.Copy(set, q.pseudo)
	var fields []hpack.HeaderField
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if set[name] != omitted {
			fields = append(fields, hpack.HeaderField{Name: name, Value: set[name]})
		}
	}
	return append(fields, q.fields...)
}

// hello is the payload of good requests.
const hello = `{"aps":{"alert":"conformance"}}`

// maker makes the requests of a case.
type maker struct {
	*values
	mint *mint
	mode string
}

// request returns the good request with the changes of a step, the nth time
// that it is sent. The error is a *lackError if the target lacks what it needs.
func (m *maker) request(s *Step, n int) (*request, error) {
	delivers := s.isDelivery(m.mode)
	q := &request{method: "POST", body: []byte(hello)}
	if m.mode == byToken {
		token, err := m.mint.token(Token{}, 0)
		if err != nil && !m.isReplaced(s, "authorization") {
			return nil, err
		}
		q.add("authorization", "bearer "+token)
	}
	topic, err := m.value(Topic)
	if err != nil && !m.isReplaced(s, "apns-topic") {
		return nil, err
	}
	q.add("apns-topic", topic)
	for one := s; one != nil; one = one.also {
		if err := m.change(q, one, n, delivers); err != nil {
			return nil, err
		}
	}
	if q.path == "" {
		token, err := m.deviceToken("", delivers)
		if err != nil {
			return nil, err
		}
		q.path = devicePath + token
	}
	return q, nil
}

const devicePath = "/3/device/"

// isReplaced reports whether a step does without a header of the good request.
func (m *maker) isReplaced(s *Step, name string) bool {
	for one := s; one != nil; one = one.also {
		if _, ok := one.Set[name]; ok || slices.Contains(one.Drop, name) || name == "authorization" && one.Token != nil {
			return true
		}
	}
	return false
}

// change makes the changes of a step to a request.
func (m *maker) change(q *request, s *Step, n int, delivers bool) (err error) {
	if s.Method != "" {
		q.method = s.Method
	}
	if s.To != "" {
		token, err := m.deviceToken(s.To, delivers)
		if err != nil {
			return err
		}
		q.path = devicePath + token
	}
	if s.Path != "" {
		if strings.Contains(s.Path, "device token}") && !m.target.Deliver {
			return &lackError{"leave to deliver"}
		}
		if q.path, err = m.expand(s.Path); err != nil {
			return err
		}
	}
	for _, name := range s.Drop {
		q.drop(name)
	}
	if s.Token != nil {
		token, err := m.mint.token(*s.Token, n)
		if err != nil {
			return err
		}
		m.own["token"] = token
		q.drop("authorization")
		if _, ok := s.Set["authorization"]; !ok {
			q.add("authorization", "bearer "+token)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Set)) {
		value, err := m.expand(s.Set[name])
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, ":") {
			q.setPseudo(name, value)
			continue
		}
		q.drop(name)
		q.add(name, value)
	}
	for _, pair := range s.Add {
		value, err := m.expand(pair[1])
		if err != nil {
			return err
		}
		q.add(pair[0], value)
	}
	return m.fill(q, s, n)
}

// fill gives a request its body.
func (m *maker) fill(q *request, s *Step, n int) error {
	switch {
	case s.Body != nil:
		m.own["n"] = fmt.Sprint(n + 1)
		body, err := m.expand(*s.Body)
		if err != nil {
			return err
		}
		q.body = []byte(body)
	case s.Size > 0:
		const frame = `{"aps":{"alert":""}}`
		room := s.Size - len(frame)
		if room < 0 {
			return fmt.Errorf("a payload of %d bytes", s.Size)
		}
		q.body = []byte(frame[:len(frame)-3] + strings.Repeat("a", room) + frame[len(frame)-3:])
	}
	return nil
}
