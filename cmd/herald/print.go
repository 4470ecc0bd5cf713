package main

import (
	"encoding/json"
	"io"
)

// printFlags are the flags of what prints.
type printFlags struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// print prints v as JSON, or what text writes.
func (f printFlags) print(s streams, v any, text func(io.Writer) error) error {
	if !f.JSON {
		return text(s.out)
	}
	enc := json.NewEncoder(s.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	return enc.Encode(v)
}

