package conformance

import "strings"

// Fault is one thing that can be wrong with a request. Their order in the
// file is that in which they are found.
type Fault struct {
	Name string `toml:"name"`
	// Place is what it changes: two faults of one place cannot be had at once.
	Place string `toml:"place"`
	// Why is where the fault itself is described.
	Why string `toml:"why"`
	// Ours tells that it is a fault by Herald's rules alone.
	Ours bool `toml:"ours"`
	// Begin is with what the connection begins, for a fault that is one only
	// after an accepted push.
	Begin *Token `toml:"begin"`
	Step
}

// authorization is the place of faults that a certificate makes meaningless.
const authorization = "authorization"

// pairs returns a case for each fault, and for each two that can be in one
// request: the earlier is the one that is told
// (docs/protocol/provider.md#order). Each is there by provider token and with a
// certificate, which does away with the faults of the provider token.
func pairs(faults []Fault) (cases []Case) {
	for i := range faults {
		first := &faults[i]
		for _, mode := range []string{byToken, byCertificate} {
			cases = append(cases, single(first, mode))
			for j := i + 1; j < len(faults); j++ {
				if later := &faults[j]; !overlap(first, later) {
					cases = append(cases, pair(first, later, mode))
				}
			}
		}
	}
	return cases
}

// overlap reports whether two faults change the same thing.
func overlap(a, b *Fault) bool {
	for place := range strings.FieldsSeq(a.Place) {
		for other := range strings.FieldsSeq(b.Place) {
			if place == other {
				return true
			}
		}
	}
	return false
}

func single(f *Fault, mode string) Case {
	c := Case{Name: f.Name + ", by " + mode, Why: f.Why, Ours: f.Ours, By: []string{mode}}
	step := f.Step
	if mode == byCertificate && f.Place == authorization {
		c.Why, step.Want = "provider.md#certificates", accepted
	}
	c.begin(f, mode)
	c.Steps = append(c.Steps, step)
	return c
}

func pair(first, later *Fault, mode string) Case {
	c := Case{Name: first.Name + " before " + later.Name + ", by " + mode, Why: "provider.md#order", Ours: true, By: []string{mode}}
	c.begin(first, mode)
	c.begin(later, mode)
	step := first.Step
	step.also = &later.Step
	if mode == byCertificate && first.Place == authorization {
		c.Name = first.Name + " and " + later.Name + ", by " + mode
		step.Want = later.Want
		step.WantWithCertificate = later.WantWithCertificate
	}
	c.Steps = append(c.Steps, step)
	return c
}

// begin adds what a connection has to begin with for a fault.
func (c *Case) begin(f *Fault, mode string) {
	if f.Begin != nil && mode == byToken {
		c.Steps = append(c.Steps, Step{Token: f.Begin, Want: accepted})
	}
}
