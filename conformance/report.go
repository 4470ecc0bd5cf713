package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report is the results of a run.
type Report []Result

// Count returns how many cases of a theme have a result; an empty theme stands
// for all.
func (r Report) Count(theme, result string) (n int) {
	for i := range r {
		if (theme == "" || r[i].Theme == theme) && r[i].Result == result {
			n++
		}
	}
	return n
}

// Line returns a result as a line of text, without its end.
func (r Result) Line() string {
	name := r.Theme + "/" + r.Name
	switch r.Result {
	case Passed:
		return "ok    " + name
	case Skipped:
		return "skip  " + name + ": " + r.Detail
	}
	text := "FAIL  " + name + ": "
	switch {
	case r.Got == "" && r.Want == "":
		text += r.Detail
	case r.Detail == "":
		text += "got " + r.Got + ", want " + r.Want
	default:
		text += "got " + r.Got + ", want " + r.Want + " (" + r.Detail + ")"
	}
	return text + "; see " + r.Source()
}

// Source returns where the rule stands.
func (r Result) Source() string {
	if strings.Contains(r.Why, "://") {
		return r.Why
	}
	return "docs/protocol/" + r.Why
}

// JSON returns a result as one line of JSON, without its end.
func (r Result) JSON() ([]byte, error) { return json.Marshal(r) }

// WriteTable writes how many cases of each theme passed, failed and were
// skipped.
func (r Report) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name, theme string) error {
		_, err := fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t\n", name, r.Count(theme, Passed), r.Count(theme, Failed), r.Count(theme, Skipped))
		return err
	}
	if _, err := fmt.Fprintln(tw, "THEME\tOK\tFAIL\tSKIP\t"); err != nil {
		return err
	}
	for _, theme := range themes(r) {
		if err := row(theme, theme); err != nil {
			return err
		}
	}
	if err := row("all", ""); err != nil {
		return err
	}
	return tw.Flush()
}
