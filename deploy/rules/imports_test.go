package rules

import (
	"strings"
	"testing"
)

const module = "github.com/gpumeter/gpumeter/"

// mayImport says which of our modules each module may import: the stages know
// the contract, never each other.
func mayImport() map[string]string {
	return map[string]string{
		"schemas":    "schemas",
		"collector":  "collector schemas",
		"processor":  "processor schemas",
		"sink":       "sink schemas",
		"deploy":     "collector deploy processor schemas sink",
		"benchmarks": "benchmarks collector deploy processor schemas sink",
	}
}

// pure lists the packages that hold rules: no Kafka, clock, logger or goroutine.
func pure() []string {
	return []string{"processor/engine/", "schemas/money/", "deploy/oracle/"}
}

func TestModulesImportOnlyWhatTheyMay(t *testing.T) {
	allowed := mayImport()
	for _, s := range sources(t, true) {
		own, _, _ := strings.Cut(s.path, "/")
		for _, imp := range s.file.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			rest, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			target, _, _ := strings.Cut(rest, "/")
			if !strings.Contains(" "+allowed[own]+" ", " "+target+" ") {
				t.Errorf("%s: %s may not import %s; the modules meet in schemas and in Kafka topics only", s.at(imp), own, rest)
			}
		}
	}
}

func TestPurePackagesTouchNothingOutside(t *testing.T) {
	for _, s := range sources(t, false) {
		for _, dir := range pure() {
			if !strings.HasPrefix(s.path, dir) {
				continue
			}
			for _, imp := range s.file.Imports {
				path := strings.Trim(imp.Path.Value, `"`)
				if strings.HasPrefix(path, "github.com/twmb/") || path == "log/slog" || path == "log" || path == "net" || path == "net/http" || path == "sync" {
					t.Errorf("%s: %s is pure and may not import %s", s.at(imp), dir, path)
				}
			}
			checkPure(t, s, dir)
		}
	}
}

func TestOracleSharesNothingWithTheProcessor(t *testing.T) {
	for _, s := range sources(t, false) {
		if !strings.HasPrefix(s.path, "deploy/oracle/") {
			continue
		}
		for _, imp := range s.file.Imports {
			if path := strings.Trim(imp.Path.Value, `"`); strings.HasPrefix(path, module) {
				t.Errorf("%s: the oracle recomputes apart and may not import %s", s.at(imp), path)
			}
		}
	}
}
