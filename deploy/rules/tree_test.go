package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A source is one parsed Go file, by its path from the repository's root.
type source struct {
	path string
	file *ast.File
	fset *token.FileSet
}

// at is the place of a node as path:line.
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// root is the repository's root: this package lies two folders below it.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.work")); err != nil {
		t.Fatalf("no go.work at the root: %v", err)
	}
	return dir
}

// walk calls fn with each regular file below the root that is not hidden,
// built or installed.
func walk(t *testing.T, fn func(path string)) {
	t.Helper()
	top := root(t)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, path)
		if d.IsDir() && rel != "." && (strings.HasPrefix(d.Name(), ".") || rel == "bin" || rel == "data") {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() && d.Name() != ".git" { // of a work tree, it names a path
			fn(filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sources parses the Go files of the repository; tests too when asked.
func sources(t *testing.T, tests bool) []source {
	t.Helper()
	var all []source
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".go") || (!tests && strings.HasSuffix(path, "_test.go")) {
			return
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(root(t), path), nil, parser.ParseComments)
		if err != nil {
			t.Errorf("%s does not parse: %v", path, err)
			return
		}
		all = append(all, source{path, f, fset})
	})
	if len(all) == 0 {
		t.Fatal("found no Go files")
	}
	return all
}
