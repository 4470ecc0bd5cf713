package payload

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/heraldpush/herald/apns"
)

// defaultText is what Fit shortens unless it is told otherwise.
const defaultText = "aps.alert.body"

// Fit is Marshal for a payload that is to have at most limit bytes, such as
// apns.PushTypeAlert.MaxPayloadBytes(). Where it has more, the body of the alert
// is cut, by no more than needed and never inside a character, and ends in an
// ellipsis.
//
// Other texts than the body are cut if they are named, each only if cutting those
// before it was not enough. Their names are those of the document: "aps.alert.title",
// "aps.alert.loc-args[1]", or the name of a custom key whose value is a string.
//
// The error is a *TooLargeError if nothing is left to cut, else a *FieldError. The
// receiver stays as it is.
func (a APS) Fit(limit int, names ...string) (apns.Payload, error) {
	texts := a.Alert.texts()
	a.Custom = customTexts(a.Custom, names, texts)
	return fit(limit, names, texts, func() (apns.Payload, error) { return a.Marshal() })
}

// Fit is like APS.Fit. What is in ContentState and Attributes it leaves alone.
func (l LiveActivity) Fit(limit int, names ...string) (apns.Payload, error) {
	texts := l.Alert.texts()
	l.Custom = customTexts(l.Custom, names, texts)
	return fit(limit, names, texts, func() (apns.Payload, error) { return l.Marshal() })
}

// customTexts adds to texts those of the names that are custom keys with a
// string, and returns the custom keys such that a change to the texts shows.
func customTexts(custom map[string]any, names []string, texts map[string]*string) map[string]any {
	cloned := false
	for _, name := range names {
		s, ok := custom[name].(string)
		if !ok || texts[name] != nil {
			continue
		}
		if !cloned {
			custom, cloned = maps.Clone(custom), true
		}
		texts[name] = &s
		custom[name] = &s
	}
	return custom
}

// fit cuts the texts named until what marshal returns fits.
func fit(limit int, names []string, texts map[string]*string, marshal func() (apns.Payload, error)) (apns.Payload, error) {
	if len(names) == 0 {
		names = []string{defaultText}
	}
	for _, name := range names {
		if texts[name] == nil {
			return nil, &FieldError{
				Field: name, Problem: "there is no such text to cut",
				Remedy: "name one of " + strings.Join(slices.Sorted(maps.Keys(texts)), ", ") + ", or a custom key whose value is a string",
			}
		}
	}
	p, err := marshal()
	for _, name := range names {
		if err != nil || len(p) <= limit {
			break
		}
		text := texts[name]
		*text = shorten(*text, len(p)-limit)
		p, err = marshal()
	}
	if err != nil {
		return nil, err
	}
	if err := CheckSize(p, limit); err != nil {
		return nil, err
	}
	return p, nil
}

// ellipsis stands for what was cut off.
const ellipsis = "…"

// shorten cuts the end of s off, so that it has at least the given number of
// bytes less in JSON, and the ellipsis in its place. It cuts all of s if that is
// still not enough, and nothing where the ellipsis would be no shorter.
func shorten(s string, by int) string {
	whole := jsonBytes(s)
	want := whole - by - jsonBytes(ellipsis) + jsonBytes("")
	// The least number of bytes at which the text would be too long.
	tooLong := sort.Search(len(s)+1, func(n int) bool { return jsonBytes(kept(s, n)) > want })
	short := kept(s, max(tooLong-1, 0)) + ellipsis
	if jsonBytes(short) >= whole {
		return s
	}
	return short
}

// kept returns what is kept of s if that may have n bytes.
func kept(s string, n int) string { return strings.TrimRight(s[:cutBefore(s, n)], " \t\r\n") }

// jsonBytes returns how many bytes s has in JSON.
func jsonBytes(s string) int {
	b, err := encode(s)
	if err != nil { // which does not happen to a text
		return len(s)
	}
	return len(b)
}
