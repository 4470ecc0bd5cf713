package wire

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const legacyPage = "../docs/protocol/legacy.md"

// The statuses of the page and those of the code are one.
func TestLegacyStatusesAreDocumented(t *testing.T) {
	b, err := os.ReadFile(legacyPage)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[LegacyStatus]string)
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| ([a-z ]+) \| (?:[a-z].*)\|$`).FindAllStringSubmatch(string(b), -1) {
		n, err := strconv.ParseUint(m[1], 10, 8)
		if err != nil {
			t.Fatal(err)
		}
		if _, isItem := got[LegacyStatus(n)]; !isItem || m[2] == legacySentences[LegacyStatus(n)] {
			got[LegacyStatus(n)] = m[2]
		}
	}
	if diff := cmp.Diff(legacySentences, got); diff != "" {
		t.Errorf("statuses in %s (-code +page):\n%s", legacyPage, diff)
	}
}

// What the code cites is there.
func TestLegacyHeadingsExist(t *testing.T) {
	b, err := os.ReadFile(legacyPage)
	if err != nil {
		t.Fatal(err)
	}
	anchors := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(b), -1) {
		anchors[strings.ToLower(strings.ReplaceAll(m[1], " ", "-"))] = true
	}
	check := func(file string, cites [][]string) {
		for _, m := range cites {
			if !anchors[m[1]] {
				t.Errorf("%s cites #%s, which %s does not have", file, m[1], legacyPage)
			}
		}
	}
	check(legacyPage, regexp.MustCompile(`\]\(#([a-z0-9-]+)\)`).FindAllStringSubmatch(string(b), -1))
	cite := regexp.MustCompile(`docs/protocol/legacy\.md#([a-z0-9-]+)`)
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		check(path, cite.FindAllStringSubmatch(string(src), -1))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
