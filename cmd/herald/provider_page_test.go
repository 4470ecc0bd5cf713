package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The commands of docs/provider.md and docs/webhooks.md parse, those for Apple's
// service too, which nobody runs, and so do those in the help of the verb.
func TestProviderPage(t *testing.T) {
	var text strings.Builder
	text.WriteString(providerCmd{}.Help() + "\n")
	for _, page := range []string{"provider.md", "webhooks.md"} {
		b, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(string(b))
	}
	commands := 0
	for _, m := range regexp.MustCompile(`(?m)^ *(herald provider .*)$`).FindAllStringSubmatch(text.String(), -1) {
		line, _, _ := strings.Cut(m[1], "#")
		line, _, _ = strings.Cut(line, "|")
		line = strings.ReplaceAll(line, "$MESSAGE", "msg_00000000000000000000000000")
		words := strings.Fields(quoted.ReplaceAllString(line, "text"))
		if _, err := newParser(t).Parse(words[1:]); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		commands++
	}
	if commands < 21 {
		t.Errorf("got %d commands", commands)
	}
}

// quoted is a word in quotation marks.
var quoted = regexp.MustCompile(`"[^"]*"`)
