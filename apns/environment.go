package apns

import "fmt"

// Environment is one of the two push services, which share nothing: a device
// token of one means nothing to the other.
type Environment uint8

// The environments. There is no zero environment.
const (
	Sandbox Environment = iota + 1
	Production
)

// Environments lists both, for loops.
var Environments = [...]Environment{Sandbox, Production}

// String returns "sandbox" or "production".
func (e Environment) String() string {
	switch e {
	case Sandbox:
		return "sandbox"
	case Production:
		return "production"
	}
	return fmt.Sprintf("Environment(%d)", uint8(e))
}

// ParseEnvironment reads "sandbox" (or its older name, "development") or
// "production".
func ParseEnvironment(s string) (Environment, error) {
	switch s {
	case "sandbox", "development":
		return Sandbox, nil
	case "production":
		return Production, nil
	}
	return 0, fmt.Errorf("environment %q: want sandbox or production", s)
}

// MarshalText implements encoding.TextMarshaler.
func (e Environment) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Environment) UnmarshalText(b []byte) (err error) {
	*e, err = ParseEnvironment(string(b))
	return err
}

// TeamID names a developer team: 10 letters and digits, such as "ABCDE12345".
type TeamID string

// KeyID names a provider's signing key: 10 letters and digits, such as
// "2X9R4HXF34".
type KeyID string

// DeviceID names a device to the portal and the registry: the UUID that its
// certificate carries as common name.
type DeviceID string
