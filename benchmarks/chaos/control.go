package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A control is the pipeline with one line changed, which must fail: it proves that
// the test can. The binaries are built with the line replaced (go build -overlay),
// so that nothing in them can be switched off otherwise.
type control struct {
	name, doc string
	file      string // from the root of the repository
	line, by  string // the text that is replaced, and what replaces it
}

func controls() []control {
	return []control{
		{
			"uncommitted", "transactions off: everybody reads what was not committed", "schemas/broker/options.go",
			"kgo.FetchIsolationLevel(kgo.ReadCommitted())", "kgo.FetchIsolationLevel(kgo.ReadUncommitted())",
		},
		{
			"unversioned", "versions off: the sink stores every revision as version 0", "sink/batch.go",
			"b.generation<<generationShift|uint64(rec.Offset)", "0",
		},
		{
			"reversed", "versions reversed: the sink lets the oldest revision win", "sink/batch.go",
			"b.generation<<generationShift|uint64(rec.Offset)", "b.generation<<generationShift|(1<<generationShift-1-uint64(rec.Offset))",
		},
		{
			"unspooled", "no spool: what the brokers did not take in time is gone", "collector/publish/spooled.go",
			"_ = s.spool.Append(p.stream, p.rows, p.pack())", "_ = p.pack()",
		},
	}
}

func controlNamed(name string) (control, error) {
	var names []string
	for _, c := range controls() {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	return control{}, fmt.Errorf("-control: %q is none of %s", name, strings.Join(names, ", "))
}

// overlay writes the changed file and what go build has to know of it into dir.
func (c control) overlay(root, dir string) (file string, err error) {
	source := filepath.Join(root, c.file)
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), c.line); n != 1 {
		return "", fmt.Errorf("control %s: %s has %q %d times, want it once: adapt the control to the code", c.name, c.file, c.line, n)
	}
	changed := filepath.Join(dir, c.name+".go")
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, errors.Join(os.WriteFile(changed, []byte(strings.Replace(string(text), c.line, c.by, 1)), 0o600), os.WriteFile(file, replaced, 0o600))
}

// build builds the binaries into dir, as a control where one is given.
func build(ctx context.Context, root, dir string, as *control) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if as != nil {
		file, err := as.overlay(root, dir)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", file)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./collector/cmd/...", "./processor/cmd/...", "./sink/cmd/...")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the binaries: %w\n%s", err, out)
	}
	return nil
}

// repository is the root of the repository that this runs in.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil {
		return "", fmt.Errorf("ask go for the workspace: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// commit names what is tested; a + says that the tree differs from it.
func commit(ctx context.Context, root string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", root, "describe", "--always", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
