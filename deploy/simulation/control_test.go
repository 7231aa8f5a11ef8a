//go:build synctests

package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A control is the pipeline with one place changed, which the short runs must find
// wrong: it proves that they can. The tests are built with the text replaced (go test
// -overlay), so that nothing in the pipeline can be switched off otherwise.
type control struct {
	name, doc string
	file      string // from the root of the repository
	text, by  string // what is replaced, and by what
}

func controls() []control {
	return []control{
		{
			"hasty-sink", "a sink commits offsets before it inserts", "sink/store.go",
			"\tfor _, block := range b.blocks {\n\t\tif err := s.insert(block); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\ts.owned.owe(b.next)\n\treturn s.commit()\n",
			"\ts.owned.owe(b.next)\n\tif err := s.commit(); err != nil {\n\t\treturn err\n\t}\n\tfor _, block := range b.blocks {\n\t\tif err := s.insert(block); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\treturn nil\n",
		},
		{
			"hasty-processor", "a processor commits what it has read before it computes what follows", "processor/meter/shell.go",
			"\ts.advance()\n\treturn s.commit(work)\n", "\terr = s.commit(work)\n\ts.advance()\n\treturn err\n",
		},
		{
			"kept-engines", "engines are kept after a transaction that was aborted", "processor/meter/shell.go",
			"making the engines anew\", \"group\", s.cfg.Group)\n\t\ts.drop()\n", "making the engines anew\", \"group\", s.cfg.Group)\n",
		},
		{
			"short-recovery", "a recovered engine stops a window short of what is committed", "processor/meter/recovery.go",
			"p.engine.Advance(p.at.Horizon, p.at.Final, nil)", "p.engine.Advance(p.at.Horizon-s.cfg.Engine.Window, p.at.Final, nil)",
		},
		{
			"uncommitted", "everybody reads what was not committed", "schemas/broker/options.go",
			"kgo.FetchIsolationLevel(kgo.ReadCommitted())", "kgo.FetchIsolationLevel(kgo.ReadUncommitted())",
		},
		{
			"unversioned", "a sink stores every revision as the same version", "sink/batch.go",
			"b.generation<<generationShift|uint64(rec.Offset)", "0",
		},
		{
			"forgetful-detector", "a detector that takes over does not read what was announced", "processor/detect/recovery.go",
			"if !ok || place >= p.committed.offset {", "if true || !ok || place >= p.committed.offset {",
		},
	}
}

// overlay writes the changed file and what the go command has to know of it into dir.
func (c control) overlay(root, dir string) (file string, err error) {
	source := filepath.Join(root, c.file)
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), c.text); n != 1 {
		return "", fmt.Errorf("control %s: %s has %q %d times, want it once: adapt the control to the code", c.name, c.file, c.text, n)
	}
	changed := filepath.Join(dir, c.name+".go")
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, errors.Join(os.WriteFile(changed, []byte(strings.Replace(string(text), c.text, c.by, 1)), 0o600), os.WriteFile(file, replaced, 0o600))
}

// root is that of the repository: tests run in the directory of their package.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// What the controls replace is there.
func TestControlsFitTheCode(t *testing.T) {
	for _, c := range controls() {
		if _, err := c.overlay(root(t), t.TempDir()); err != nil {
			t.Error(err)
		}
	}
	c := control{name: "misfit", file: "sink/store.go", text: "what no line says", by: ""}
	if _, err := c.overlay(root(t), t.TempDir()); err == nil {
		t.Error("a control that changes nothing was let pass")
	}
}

// How many seeds a control may take to be caught.
const seedsOfControl = 3

// Each control is caught by one of the first seeds: make simulate CONTROL=all, or a name.
func TestControlsAreCaught(t *testing.T) {
	wanted := os.Getenv(envControl)
	if wanted == "" {
		t.Skipf("controls take minutes and are for make simulate: %s is not set", envControl)
	}
	known := false
	for _, c := range controls() {
		if wanted != "all" && wanted != c.name {
			continue
		}
		known = true
		t.Run(c.name, func(t *testing.T) { c.expectCaught(t) })
	}
	if !known {
		t.Fatalf("%s: no control is named %q", envControl, wanted)
	}
}

// expectCaught builds the short runs with the control and wants one of them to fail,
// with a verdict of theirs and not for any other reason.
func (c control) expectCaught(t *testing.T) {
	dir := t.TempDir()
	file, err := c.overlay(root(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "simulation.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "synctests", "-overlay", file, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the control: %v\n%s", err, out)
	}
	for seed := range seedsOfControl {
		if verdict := c.run(t, binary, seed+1); verdict != "" {
			t.Logf("%s: caught by seed %d: %s", c.doc, seed+1, verdict)
			return
		}
	}
	t.Errorf("%s, and none of %d seeds noticed", c.doc, seedsOfControl)
}

// run gives the first thing that a seed finds wrong, empty for nothing.
func (c control) run(t *testing.T, binary string, seed int) (verdict string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run", "^TestFaults$", "-test.timeout", "0")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", envSeed, seed))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.Contains(line, verdictMark) {
			return line
		}
	}
	t.Fatalf("seed %d failed for a reason of its own: %v\n%s", seed, err, out)
	return ""
}
