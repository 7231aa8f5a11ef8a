package rules

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestPromisesNameTestsThatExist: a promise is worth the test that holds it.
func TestPromisesNameTestsThatExist(t *testing.T) {
	there := map[string]bool{}
	for _, s := range sources(t, true) {
		b, err := os.ReadFile(filepath.Join(root(t), s.path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((Test|Fuzz)[A-Z]\w*)\(`).FindAllSubmatch(b, -1) {
			there[string(m[1])] = true
		}
	}
	for _, page := range []string{"ARCHITECTURE.md", "SECURITY.md", "docs/reliability.md", "docs/bugs.md"} {
		text, err := os.ReadFile(filepath.Join(root(t), page))
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`).FindAll(text, -1)
		for _, name := range named {
			if !there[string(name)] {
				t.Errorf("%s names %s, which no package has", page, name)
			}
		}
		if page == "docs/reliability.md" && len(named) < 50 {
			t.Errorf("%s names only %d tests", page, len(named))
		}
	}
}
