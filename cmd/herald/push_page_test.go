package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apnsclient"
)

// What docs/push.md says is so: its commands parse, its flags exist, and its
// outcomes are those there are.
func TestPushPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/push.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	flags := make(map[string]bool)
	for _, verb := range newParser(t).Model.Children {
		if verb.Name == "push" || verb.Name == "dev" { // the page names one of its flags
			for _, f := range verb.Flags {
				flags[f.Name] = true
			}
		}
	}
	for _, m := range regexp.MustCompile("--([a-z][a-z-]+)").FindAllStringSubmatch(page, -1) {
		if !flags[m[1]] {
			t.Errorf("there is no flag --%s", m[1])
		}
	}
	commands := 0
	for _, m := range regexp.MustCompile("(?s)\n```\n(herald push .*?)\n```\n").FindAllStringSubmatch(page, -1) {
		commands++
		line, _, _ := strings.Cut(strings.ReplaceAll(m[1], "\\\n", ""), ">")
		if _, err := newParser(t).Parse(strings.Fields(line)[1:]); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if commands < 3 {
		t.Errorf("got %d commands", commands)
	}
	var want, got []string
	for o := apnsclient.Accepted; !strings.HasPrefix(o.String(), "Outcome("); o++ {
		want = append(want, o.String())
	}
	_, table, _ := strings.Cut(page, "| Outcome | What to do |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		got = append(got, strings.Trim(strings.Split(line, "|")[1], " "))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("outcomes (-code +page):\n%s", d)
	}
}

func newParser(t *testing.T) *kong.Kong {
	t.Helper()
	p, err := kong.New(new(verbs), kong.Name("herald"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
