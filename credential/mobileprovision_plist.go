package credential

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"time"
)

// Bounds of a property list. A profile has a depth of 4, and one value a
// device.
const (
	maxPlistDepth  = 16
	maxPlistValues = 20000
)

// plistDict is a dictionary of a property list. A value is a string, bool,
// time.Time, []any, plistDict, or nil for what is of no use here: numbers and
// data.
type plistDict map[string]any

func (d plistDict) text(key string) string {
	s, _ := d[key].(string)
	return s
}

func (d plistDict) time(key string) time.Time {
	t, _ := d[key].(time.Time)
	return t
}

func (d plistDict) list(key string) []any {
	l, _ := d[key].([]any)
	return l
}

func (d plistDict) dict(key string) plistDict {
	m, _ := d[key].(plistDict)
	return m
}

var errPlist = errors.New("not a property list in XML, or a damaged one")

// parsePropertyList reads a property list in XML whose root is a dictionary.
// encoding/xml expands no entities but its own five and reads no outside file.
func parsePropertyList(data []byte) (plistDict, error) {
	p := plistParser{xml: xml.NewDecoder(bytes.NewReader(data)), left: maxPlistValues}
	p.xml.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errPlist }
	root, err := p.start()
	if err != nil || root == nil || root.Name.Local != "plist" {
		return nil, errPlist
	}
	e, err := p.start()
	if err != nil || e == nil {
		return nil, errPlist
	}
	v, err := p.value(*e, 0)
	if err != nil {
		return nil, err
	}
	d, ok := v.(plistDict)
	if !ok {
		return nil, errPlist
	}
	return d, nil
}

type plistParser struct {
	xml  *xml.Decoder
	left int // values that may still come
}

// start returns the next element, nil at the end of the one around it.
func (p *plistParser) start() (*xml.StartElement, error) {
	for {
		t, err := p.xml.Token()
		if err != nil {
			return nil, errPlist
		}
		switch t := t.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil //nolint:nilnil // the end is no error
		}
	}
}

// value reads the rest of the element e.
func (p *plistParser) value(e xml.StartElement, depth int) (any, error) {
	if p.left--; p.left < 0 || depth > maxPlistDepth {
		return nil, errors.New("a property list larger or deeper than any profile is")
	}
	switch e.Name.Local {
	case "dict":
		return p.dict(depth)
	case "array":
		return p.array(depth)
	case "true", "false":
		return e.Name.Local == "true", p.skip()
	}
	s, err := p.chars()
	if err != nil {
		return nil, err
	}
	switch e.Name.Local {
	case "string":
		return s, nil
	case "date":
		t, err := time.Parse(time.RFC3339, strings.TrimSpace(s))
		if err != nil {
			return nil, nil //nolint:nilerr,nilnil // a date that nobody can read is as good as none
		}
		return t.UTC(), nil
	}
	return nil, nil //nolint:nilnil // of no use here
}

func (p *plistParser) dict(depth int) (plistDict, error) {
	d := plistDict{}
	for {
		e, err := p.start()
		if err != nil {
			return nil, err
		}
		if e == nil {
			return d, nil
		}
		if e.Name.Local != "key" {
			return nil, errPlist
		}
		key, err := p.chars()
		if err != nil {
			return nil, err
		}
		if e, err = p.start(); err != nil || e == nil {
			return nil, errPlist
		}
		v, err := p.value(*e, depth+1)
		if err != nil {
			return nil, err
		}
		d[key] = v
	}
}

func (p *plistParser) array(depth int) ([]any, error) {
	var list []any
	for {
		e, err := p.start()
		if err != nil {
			return nil, err
		}
		if e == nil {
			return list, nil
		}
		v, err := p.value(*e, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
}

// chars returns the text up to the end of the element. Elements inside it are
// refused.
func (p *plistParser) chars() (string, error) {
	var s strings.Builder
	for {
		t, err := p.xml.Token()
		if err != nil {
			return "", errPlist
		}
		switch t := t.(type) {
		case xml.CharData:
			s.Write(t)
		case xml.EndElement:
			return s.String(), nil
		case xml.StartElement:
			return "", errPlist
		}
	}
}

func (p *plistParser) skip() error {
	_, err := p.chars()
	return err
}
