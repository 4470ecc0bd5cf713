package audience

import "strings"

// Fault is one thing that is wrong with what was asked for.
type Fault struct {
	// Pointer is where, as a JSON pointer (RFC 6901) into the request, such as
	// "/device_tokens/0/value". Empty is the whole.
	Pointer string
	Code    FaultCode
	// Detail says it in words, such as "130 bytes, at most 128 are possible". It
	// repeats no device token.
	Detail string
	// OverBy is how many bytes a payload is too long; zero for all other faults.
	OverBy int
}

// FaultCode is what programs tell a fault by.
type FaultCode string

// The codes of faults.
const (
	Required  FaultCode = "required"
	Malformed FaultCode = "malformed"
	Unknown   FaultCode = "unknown"
	TooLong   FaultCode = "too_long"
	TooMany   FaultCode = "too_many"
	Duplicate FaultCode = "duplicate"
	Conflict  FaultCode = "conflict"
)

// InvalidError says all that is wrong with what was asked for, of which nothing
// was done.
type InvalidError struct {
	// Faults are at least one.
	Faults []Fault
}

// Error lists the faults.
func (e *InvalidError) Error() string {
	var b strings.Builder
	for i, f := range e.Faults {
		if i > 0 {
			b.WriteString("; ")
		}
		if f.Pointer != "" {
			b.WriteString(f.Pointer + ": ")
		}
		b.WriteString(f.Detail)
	}
	return b.String()
}

// Faults gathers what is wrong. The zero value is ready.
type Faults []Fault

// Add notes a fault.
func (f *Faults) Add(pointer string, code FaultCode, detail string) {
	*f = append(*f, Fault{Pointer: pointer, Code: code, Detail: detail})
}

// Err returns an *InvalidError, or nil if nothing is wrong.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return &InvalidError{f}
}
