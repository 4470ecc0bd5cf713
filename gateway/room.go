package gateway

import (
	"unsafe"

	"github.com/heraldpush/herald/apns"
)

// room is memory for what pushes have that their requests have not, to be used
// again. The strings in it are borrowed: they are overwritten by the pushes after
// the next reset.
type room struct{ b []byte }

// reset takes back all strings.
func (m *room) reset() {
	if spoiling {
		for i := range m.b {
			m.b[i] = '?'
		}
	}
	m.b = m.b[:0]
}

// borrowed returns what is in the room from a place on, as a string.
func borrowed[S ~string](m *room, from int) S {
	b := m.b[from:]
	return S(unsafe.String(unsafe.SliceData(b), len(b)))
}

// put returns s as it is in the room.
func put[S ~string](m *room, s S) S {
	from := len(m.b)
	m.b = append(m.b, s...)
	return borrowed[S](m, from)
}

// deviceToken reads a device token in hex. The error is that of
// apns.ParseDeviceToken.
func (m *room) deviceToken(hexToken string) (_ apns.DeviceToken, err error) {
	from := len(m.b)
	if m.b, err = apns.AppendDeviceToken(m.b, hexToken); err != nil {
		return "", err
	}
	return borrowed[apns.DeviceToken](m, from), nil
}

// uuid makes a UUID.
func (m *room) uuid(from *apns.UUIDs) string {
	start := len(m.b)
	m.b = from.Append(m.b)
	return borrowed[string](m, start)
}

// uuids makes UUIDs of which each is looked at only until the next one is made.
type uuids struct {
	random apns.UUIDs
	room   room
}

func (u *uuids) next() string {
	u.room.reset()
	return u.room.uuid(&u.random)
}
