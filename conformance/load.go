package conformance

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

//go:embed cases/*.toml
var files embed.FS

// Suite is all cases, and the probes of the features that some of them need.
type Suite struct {
	Cases  []Case
	probes map[string]Probe
}

// theme is a file of cases.
type theme struct {
	// By has the modes of cases that name none.
	By    []string `toml:"by"`
	Case  []Case   `toml:"case"`
	Fault []Fault  `toml:"fault"`
	Probe []Probe  `toml:"probe"`
}

// Load returns the cases that come with the package.
func Load() (*Suite, error) {
	sub, err := fs.Sub(files, "cases")
	if err != nil {
		return nil, err
	}
	return LoadFS(sub)
}

// LoadFS returns the cases in the .toml files of a folder. The error says in
// which file and case something is wrong.
func LoadFS(fsys fs.FS) (*Suite, error) {
	names, err := fs.Glob(fsys, "*.toml")
	if err != nil {
		return nil, err
	}
	s := &Suite{probes: make(map[string]Probe)}
	for _, name := range names {
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		if err := s.add(strings.TrimSuffix(name, path.Ext(name)), string(b)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, s.check()
}

// add adds a file of cases.
func (s *Suite) add(name, text string) error {
	var t theme
	meta, err := toml.Decode(text, &t)
	if err != nil {
		return err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return fmt.Errorf("%v is unknown", unknown[0])
	}
	for _, p := range t.Probe {
		if _, ok := s.probes[p.Name]; ok {
			return fmt.Errorf("two probes %q", p.Name)
		}
		p.Theme = "probe"
		if len(p.By) == 0 {
			p.By = []string{byToken}
		}
		s.probes[p.Name] = p
	}
	for _, c := range slices.Concat(t.Case, pairs(t.Fault)) {
		c.Theme = name
		modes := c.By
		if len(modes) == 0 {
			modes = t.By
		}
		if len(modes) == 0 {
			return fmt.Errorf("case %q: it is by neither token nor certificate", c.Name)
		}
		for _, mode := range modes {
			one := c
			one.By = []string{mode}
			if len(modes) > 1 {
				one.Name += ", by " + mode
			}
			s.Cases = append(s.Cases, one)
		}
	}
	return nil
}

// check finds what is wrong with cases that can be read.
func (s *Suite) check() error {
	var errs []error
	seen := make(map[string]bool)
	for i := range s.Cases {
		c := &s.Cases[i]
		if err := s.checkCase(c); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.id(), err))
		}
		if seen[c.id()] {
			errs = append(errs, fmt.Errorf("%s: there are two", c.id()))
		}
		seen[c.id()] = true
	}
	return errors.Join(errs...)
}

func (s *Suite) checkCase(c *Case) error {
	if c.Name == "" || c.Why == "" {
		return errors.New("it lacks a name or a source")
	}
	if mode := c.mode(); mode != byToken && mode != byCertificate {
		return fmt.Errorf("by %q", mode)
	}
	for _, need := range c.Needs {
		if _, ok := s.probes[need]; !ok {
			return fmt.Errorf("there is no probe %q", need)
		}
	}
	for i, step := range c.steps() {
		if err := step.check(c.mode()); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func (s *Step) check(mode string) error {
	switch {
	case s.isRequest() && s.want(mode) == "" && !s.Open:
		return errors.New("a request whose outcome is not said")
	case s.Body != nil && s.Size != 0:
		return errors.New("a body and a size")
	case s.Last != "" && s.Times < 2:
		return errors.New("the last of one")
	}
	for _, pair := range s.Add {
		if len(pair) != 2 {
			return fmt.Errorf("to add %q: name and value", pair)
		}
	}
	return nil
}
