package generate_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/deploy/generate"
)

// content reads every file of a directory.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

func write(t *testing.T, opt generate.Options) (dir string, lines map[string]int) {
	t.Helper()
	dir = t.TempDir()
	lines, err := generate.Write(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return dir, lines
}

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	opt := generate.Defaults()
	one, lines := write(t, opt)
	two, _ := write(t, opt)
	for name, text := range content(t, one) {
		if text != content(t, two)[name] {
			t.Errorf("%s differs", name)
		}
		got := strings.Count(text, "\n")
		if strings.HasSuffix(name, ".csv") {
			got--
		}
		if got != lines[name] || got == 0 {
			t.Errorf("%s has %d lines, said %d", name, got, lines[name])
		}
	}
	opt.Seed++
	other, _ := write(t, opt)
	if content(t, one)["samples.ndjson"] == content(t, other)["samples.ndjson"] {
		t.Error("another seed gives the same samples")
	}
}

func TestWithoutFeaturesEveryLineIsGoodAndInOrder(t *testing.T) {
	opt := generate.Defaults()
	opt.Features = 0
	dir, _ := write(t, opt)
	last := 0.0
	for _, l := range strings.Split(strings.TrimSpace(content(t, dir)["samples.ndjson"]), "\n") {
		var sample map[string]any
		if err := json.Unmarshal([]byte(l), &sample); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		if sample["slice"] != nil || sample["utilization"] == nil {
			t.Fatalf("a feature nobody asked for: %s", l)
		}
		if ts, ok := sample["ts"].(float64); ok && int64(ts) < int64(last) {
			t.Fatalf("out of order: %s", l)
		} else if ok {
			last = ts
		}
	}
}

func TestFeaturesLeaveTraces(t *testing.T) {
	opt := generate.Defaults()
	opt.Nodes, opt.Duration = 6, 3*3_600_000
	dir, _ := write(t, opt)
	files := content(t, dir)
	for file, traces := range map[string][]string{
		"samples.ndjson":     {`"slice":"m1"`, `"utilization":1.01`, `4102444800000`, `GPU-none`, `"tensor_active"`},
		"allocations.ndjson": {`"share":0.25`, `"event":"update"`, `"labels"`, `"gpus":[]`, `orphan`, `"share":1.5`},
		"resources.ndjson":   {`"resource":"r0"`, `"to"`, `"scheduler":true`},
		"prices.csv":         {"USD", "EUR"},
		"tags.csv":           {"match,set"},
	} {
		for _, trace := range traces {
			if !strings.Contains(files[file], trace) {
				t.Errorf("%s has no %s", file, trace)
			}
		}
	}
}

func TestParseFeatures(t *testing.T) {
	for _, c := range []struct {
		text string
		want generate.Features
	}{{"all", generate.All}, {"", 0}, {"slices,late", generate.Slices | generate.Late}, {"bad_lines", generate.BadLines}} {
		got, err := generate.ParseFeatures(c.text)
		if err != nil || got != c.want {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
	}
	if got, err := generate.ParseFeatures(generate.All.String()); err != nil || got != generate.All {
		t.Errorf("every feature by name: %v, %v", got, err)
	}
	if _, err := generate.ParseFeatures("slices,magic"); err == nil || !strings.Contains(err.Error(), "magic") {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := generate.Write(t.TempDir(), generate.Options{}); err == nil {
		t.Error("no nodes, no error")
	}
}

// sorted lists the lines of a file; the header of a table is one of them.
func sorted(text string) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	slices.Sort(lines)
	return lines
}

func TestPerturbationsKeepTheSetOfLines(t *testing.T) {
	opt := generate.Defaults()
	opt.Features &^= generate.Repeats
	dir, _ := write(t, opt)
	for name, perturb := range map[string]func(to string) error{
		"shuffle": func(to string) error { return generate.Shuffle(dir, to, 3) },
		"repeat":  func(to string) error { return generate.Repeat(dir, to, 5, 3) },
		"delay":   func(to string) error { return generate.Delay(dir, to, 10, 50, 3) },
	} {
		to := t.TempDir()
		if err := perturb(to); err != nil {
			t.Fatal(err)
		}
		was, is := content(t, dir), content(t, to)
		if was["samples.ndjson"] == is["samples.ndjson"] {
			t.Errorf("%s changed nothing", name)
		}
		for file := range was {
			header, _, _ := bytes.Cut([]byte(was[file]), []byte("\n"))
			if strings.HasSuffix(file, ".csv") && !strings.HasPrefix(is[file], string(header)) {
				t.Errorf("%s: %s has lost its header", name, file)
			}
			a, b := sorted(was[file]), sorted(is[file])
			if name == "repeat" {
				if file == "samples.ndjson" && (len(b) < len(a)*104/100 || len(b) > len(a)*106/100) {
					t.Errorf("%d lines of %d after repeating 5 %%", len(b), len(a))
				}
				a, b = slices.Compact(a), slices.Compact(b)
			}
			if !slices.Equal(a, b) {
				t.Errorf("%s: %s has %d lines, had %d, or others", name, file, len(b), len(a))
			}
		}
	}
}
