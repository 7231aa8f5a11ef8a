package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"
)

// Each control changes a line that is there.
func TestControlsFitTheCode(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range controls() {
		dir := t.TempDir()
		if _, err := c.overlay(root, dir); err != nil {
			t.Error(err)
			continue
		}
		changed, err := os.ReadFile(filepath.Join(dir, c.name+".go"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), c.file, changed, 0); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if named, err := controlNamed(c.name); err != nil || named != c {
			t.Errorf("%s: %+v, %v", c.name, named, err)
		}
	}
	if _, err := controlNamed("nothing"); err == nil {
		t.Error("a control of no name")
	}
	c := controls()[0]
	c.line = "no such line"
	if _, err := c.overlay(root, t.TempDir()); err == nil {
		t.Error("a control that changes nothing")
	}
}
