package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// codeBlock is a block of code on a page of Markdown, fenced or indented.
type codeBlock struct {
	line           int    // where it begins, from 1
	language, info string // of the fence: the first word, and the rest
	text           string // with a line end after each line
}

// name names b in the output of tests.
func (b codeBlock) name() string {
	first, _, _ := strings.Cut(b.text, "\n")
	words := strings.Fields(first)
	return fmt.Sprintf("%d %s", b.line, strings.Join(words[:min(len(words), 4)], " "))
}

// commands cuts b into commands. One goes on where a line ends in \ or |.
func (b codeBlock) commands() (all []string) {
	var command strings.Builder
	for line := range strings.Lines(b.text) {
		command.WriteString(line)
		if end := strings.TrimRight(line, " \n"); !strings.HasSuffix(end, `\`) && !strings.HasSuffix(end, "|") {
			all = append(all, command.String())
			command.Reset()
		}
	}
	if command.Len() > 0 {
		all = append(all, command.String())
	}
	return all
}

// codeBlocks returns the code blocks of a page, in order.
func codeBlocks(t *testing.T, page string) (all []codeBlock) {
	t.Helper()
	var fenced, indented *codeBlock
	number, blank := 0, true
	for line := range strings.Lines(read(t, page)) {
		number++
		fence, isFence := strings.CutPrefix(line, "```")
		code, isIndented := strings.CutPrefix(line, "    ")
		switch {
		case fenced != nil && isFence:
			all = append(all, *fenced)
			fenced = nil
		case fenced != nil:
			fenced.text += line
		case isFence:
			language, info, _ := strings.Cut(strings.TrimSpace(fence), " ")
			fenced = &codeBlock{line: number, language: language, info: info}
		case isIndented && indented != nil:
			indented.text += code
		case isIndented && blank:
			indented = &codeBlock{line: number, text: code}
		}
		if !isIndented && indented != nil {
			all = append(all, *indented)
			indented = nil
		}
		blank = strings.TrimSpace(line) == ""
	}
	if fenced != nil {
		t.Fatalf("%s:%d: the block does not end", page, fenced.line)
	}
	if indented != nil {
		all = append(all, *indented)
	}
	return all
}

// TestPages checks the pages that exist in two languages: their code is the
// same, in the same order under as many headings, each leads to the other at
// its top, and no link on them leads nowhere.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, english := range []string{"../README.md", walkthrough} {
		t.Run(filepath.Base(english), func(t *testing.T) {
			chinese := translation(english)
			if diff := cmp.Diff(outline(t, english), outline(t, chinese)); diff != "" {
				t.Errorf("%s and %s differ (-English +Chinese):\n%s", english, chinese, diff)
			}
			checkLinks(t, english, filepath.Base(chinese))
			checkLinks(t, chinese, filepath.Base(english))
		})
	}
}

// translation returns the path of a page in Chinese.
func translation(english string) string { return strings.TrimSuffix(english, ".md") + ".zh-CN.md" }

// outline returns what a translation keeps: the level of each heading, and the
// code below it.
func outline(t *testing.T, page string) (kept []string) {
	t.Helper()
	blocks := codeBlocks(t, page)
	if len(blocks) == 0 {
		t.Fatalf("%s has no code", page)
	}
	number, next, inside := 0, 0, false
	for line := range strings.Lines(read(t, page)) {
		number++
		if next < len(blocks) && blocks[next].line == number {
			b := blocks[next]
			kept = append(kept, b.language+" "+b.info+"\n"+b.text)
			next++
		}
		if strings.HasPrefix(line, "```") {
			inside = !inside
		}
		if level, _, ok := strings.Cut(line, " "); ok && !inside && level != "" && strings.Trim(level, "#") == "" {
			kept = append(kept, level)
		}
	}
	return kept
}

// checkLinks checks that a page leads to the other language within its first
// lines, and that the files which it leads to exist.
func checkLinks(t *testing.T, page, other string) {
	t.Helper()
	text := read(t, page)
	top := strings.SplitAfterN(text, "\n", 6)
	if !strings.Contains(strings.Join(top[:len(top)-1], ""), "]("+other+")") {
		t.Errorf("%s does not lead to %s in its first lines", page, other)
	}
	for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
		target, _, _ := strings.Cut(link[1], "#")
		if target == "" || strings.Contains(target, "://") {
			continue
		}
		matches, err := filepath.Glob(filepath.Join(filepath.Dir(page), target))
		if err != nil || len(matches) != 1 {
			t.Errorf("%s leads to %s, which is not there", page, link[1])
		}
	}
}
