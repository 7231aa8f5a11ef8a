package rules

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLimitsThatArePromisedAreThere: each name in the table of limits of
// SECURITY.md is declared in the package that it names.
func TestLimitsThatArePromisedAreThere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Limits on input")
	table, _, _ = strings.Cut(table, "\n## ")
	declared := map[string]string{}
	for _, s := range sources(t, false) {
		b, err := os.ReadFile(filepath.Join(root(t), s.path))
		if err != nil {
			t.Fatal(err)
		}
		declared[filepath.Dir(s.path)] += string(b)
	}
	quoted, n := regexp.MustCompile("`([A-Za-z]+)`"), 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[3], "`") {
			continue
		}
		for part := range strings.SplitSeq(strings.ReplaceAll(cells[3], ", ", ";"), ";") {
			name := quoted.FindStringSubmatch(part)
			if name == nil {
				continue
			}
			n++
			if !anyPackage(cells[3], declared, name[1]) {
				t.Errorf("SECURITY.md: no %s in the packages of %q", name[1], strings.TrimSpace(cells[3]))
			}
		}
	}
	if n < 25 {
		t.Errorf("only %d limits are named", n)
	}
}

func anyPackage(cell string, declared map[string]string, name string) bool {
	for dir, text := range declared {
		if regexp.MustCompile(`(^|\W)`+regexp.QuoteMeta(dir)+`\W`).MatchString(cell) && regexp.MustCompile(`\b`+name+`\b`).MatchString(text) {
			return true
		}
	}
	return false
}
