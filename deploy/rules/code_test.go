package rules

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxLines is the longest function: more does not fit one look.
const maxLines = 70

// checkPure reports clocks and goroutines in a package that holds rules.
func checkPure(t *testing.T, s source, dir string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s: %s is pure and may not start a goroutine", s.at(n), dir)
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok && id.Name == "time" && (x.Sel.Name == "Now" || x.Sel.Name == "Sleep" || x.Sel.Name == "Since") {
				t.Errorf("%s: %s is pure and may not read the clock; take the time as an argument", s.at(n), dir)
			}
		}
		return true
	})
}

func TestFunctionsFitOneLook(t *testing.T) {
	for _, s := range sources(t, false) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if lines > maxLines {
				t.Errorf("%s: %s has %d lines, more than %d; cut it where an idea ends", s.at(f), f.Name.Name, lines, maxLines)
			}
		}
	}
}

func TestNothingRunsOrChangesBehindMain(t *testing.T) {
	for _, s := range sources(t, false) {
		for _, d := range s.file.Decls {
			switch x := d.(type) {
			case *ast.FuncDecl:
				if x.Name.Name == "init" && x.Recv == nil {
					t.Errorf("%s: init() hides work; call it from main", s.at(x))
				}
				if s.file.Name.Name != "main" {
					checkExit(t, s, x)
				}
			case *ast.GenDecl:
				checkVars(t, s, x)
			}
		}
	}
}

func checkExit(t *testing.T, s source, f *ast.FuncDecl) {
	ast.Inspect(f, func(n ast.Node) bool {
		if x, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := x.X.(*ast.Ident); ok && id.Name == "os" && x.Sel.Name == "Exit" {
				t.Errorf("%s: os.Exit below main; return an error", s.at(n))
			}
		}
		return true
	})
}

// checkVars allows package variables that nobody writes: sentinel errors,
// embedded files and blank interface checks.
func checkVars(t *testing.T, s source, d *ast.GenDecl) {
	if d.Tok != token.VAR {
		return
	}
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		for i, name := range v.Names {
			if name.Name == "_" || embedded(d, v) || (i < len(v.Values) && sentinel(v.Values[i])) {
				continue
			}
			t.Errorf("%s: package variable %s; pass it, or make it a constant or a function", s.at(name), name.Name)
		}
	}
}

func embedded(d *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, g := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if g == nil {
			continue
		}
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, "//go:embed") {
				return true
			}
		}
	}
	return false
}

// sentinel reports errors.New(…), fmt.Errorf(…) and regexp.MustCompile(…): values made once and read only.
func sentinel(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && (id.Name == "errors" && sel.Sel.Name == "New" || id.Name == "fmt" && sel.Sel.Name == "Errorf" || id.Name == "regexp" && sel.Sel.Name == "MustCompile")
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said := map[string]bool{}
	for _, s := range sources(t, false) {
		dir := filepath.Dir(s.path)
		said[dir] = said[dir] || s.file.Doc != nil
	}
	for dir, ok := range said {
		if !ok {
			t.Errorf("%s: no package comment; say what it does and what it does not", dir)
		}
	}
}

func TestTopLevelHoldsOnlyTheLayout(t *testing.T) {
	allowed := "schemas collector processor sink deploy benchmarks docs go.work go.work.sum Makefile bin data"
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		stem := strings.TrimSuffix(name, ".md")
		capital := stem == strings.ToUpper(stem)
		if !strings.HasPrefix(name, ".") && !capital && !strings.Contains(" "+allowed+" ", " "+name+" ") {
			t.Errorf("%s: not part of the layout; put it into a module or docs", name)
		}
	}
}

func TestNoPathOfAMachineAndNoRegistry(t *testing.T) {
	// Written in parts, so that this file does not find itself.
	banned := []string{"/ro" + "ot/", "/wo" + "rk/", "registry.npm" + "js", "proxy.gol" + "ang", "repo1.mav" + "en", "py" + "pi.org"}
	walk(t, func(path string) {
		if strings.HasSuffix(path, ".sum") {
			return
		}
		b, err := os.ReadFile(filepath.Join(root(t), path))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range banned {
			if i := strings.Index(string(b), word); i >= 0 {
				t.Errorf("%s:%d: %q does not belong in the tree", path, strings.Count(string(b[:i]), "\n")+1, word)
			}
		}
	})
}
