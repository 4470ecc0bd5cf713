package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The commands of docs/provider.md parse, those for Apple's service too, which
// nobody runs, and so do those in the help of the verb.
func TestProviderPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/provider.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, m := range regexp.MustCompile(`(?m)^ *(herald provider .*)$`).FindAllStringSubmatch(string(b)+providerCmd{}.Help(), -1) {
		line, _, _ := strings.Cut(m[1], "#")
		line, _, _ = strings.Cut(line, "|")
		line = strings.ReplaceAll(line, "$MESSAGE", "msg_00000000000000000000000000")
		words := strings.Fields(quoted.ReplaceAllString(line, "text"))
		if _, err := newParser(t).Parse(words[1:]); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		commands++
	}
	if commands < 15 {
		t.Errorf("got %d commands", commands)
	}
}

// quoted is a word in quotation marks.
var quoted = regexp.MustCompile(`"[^"]*"`)
