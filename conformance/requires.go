package conformance

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ID is the name by which a case is selected and reported: theme/name.
func (c Case) ID() string { return c.id() }

// Requires returns what the case needs of a target besides a gateway and the
// credential of its mode, in the names of Target, sorted: features, addresses,
// keys, certificates, topics and device tokens.
func (c Case) Requires() []string {
	needs := make(map[string]bool)
	add := func(names ...string) {
		for _, name := range names {
			if name != "" {
				needs[name] = true
			}
		}
	}
	for _, need := range c.Needs {
		add("feature: " + need)
	}
	add(c.Connect.Certificate)
	if c.Connect.At != "" {
		add("address of " + c.Connect.At)
	}
	steps := c.steps()
	for i := range steps {
		for s := &steps[i]; s != nil; s = s.also {
			add(s.requires()...)
		}
		for name := range steps[i].Keep {
			delete(needs, name)
		}
	}
	for _, given := range []string{"none", selfSigned, foreign, withoutKey, unknownKey, "marker", "uuid", "n", "token", "device token of nobody", Topic} {
		delete(needs, given)
	}
	return slices.Sorted(maps.Keys(needs))
}

// Requires returns what cases need of a target, and the probes of the features that
// they need, as Case.Requires does, and with the credential of their modes.
func (s *Suite) Requires(cases []Case) []string {
	needs := make(map[string]bool)
	add := func(c *Case) {
		for _, name := range c.Requires() {
			needs[name] = true
		}
		if c.mode() == byCertificate {
			needs[Certificate] = true
		}
	}
	for i := range cases {
		add(&cases[i])
		for _, need := range cases[i].Needs {
			p := s.probes[need]
			add(&p.Case)
		}
	}
	return slices.Sorted(maps.Keys(needs))
}

// placeholderForm finds the names in a text.
var placeholderForm = regexp.MustCompile(`\$\{([^}]*)\}`)

// requires returns what a step needs.
func (s *Step) requires() (names []string) {
	texts := append(slices.Collect(maps.Values(s.Set)), s.Path)
	for _, pair := range s.Add {
		texts = append(texts, pair...)
	}
	if s.Body != nil {
		texts = append(texts, *s.Body)
	}
	for _, text := range texts {
		for _, m := range placeholderForm.FindAllStringSubmatch(text, -1) {
			word, rest, _ := strings.Cut(m[1], " ")
			switch {
			case word == "repeat", word == "spaces", word == "chars", strings.HasPrefix(word, "now"):
			case word == "upper", word == "changed":
				names = append(names, rest)
			default:
				names = append(names, m[1])
			}
		}
	}
	if s.Token != nil {
		names = append(names, s.Token.Key, s.Token.Sign, s.Token.Team)
	}
	for _, n := range s.Legacy {
		names = append(names, n.To)
	}
	if s.At != "" {
		names = append(names, "address of "+s.At)
	}
	if s.Device != "" || s.Received != nil {
		names = append(names, "device that can be watched")
	}
	return append(names, s.To, s.Act)
}
