package main

import (
	"encoding/json"
	"io"
)

// printFlags are the flags of what prints.
type printFlags struct {
	JSON bool `name:"json" xor:"print" help:"Print JSON."`
}

// print prints v as JSON, or what text writes.
func (f printFlags) print(s streams, v any, text func(io.Writer) error) error {
	if f.JSON {
		return writeJSON(s.out, v)
	}
	return text(s.out)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	return enc.Encode(v)
}

// quietFlags are the flags of what prints, and has done its work without that.
type quietFlags struct {
	printFlags
	Quiet bool `short:"q" xor:"print" help:"Print nothing but warnings, errors and a password that was made up."`
}

// print is that of printFlags, or nothing.
func (f quietFlags) print(s streams, v any, text func(io.Writer) error) error {
	switch {
	case f.Quiet:
		return nil
	case f.JSON:
		return writeJSON(s.out, v)
	}
	return text(s.out)
}

// printMade is print where a password was perhaps made up, which is lost if it
// is not printed.
func (f quietFlags) printMade(s streams, made newPassword, v any, text func(io.Writer) error) error {
	if f.Quiet && made.generated {
		_, err := io.WriteString(s.out, made.text+"\n")
		return err
	}
	return f.print(s, v, text)
}
