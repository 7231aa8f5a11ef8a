package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// built lists the places that put a query together from parts, each with the
// reason why no part comes from outside. All others pass constants, and values as
// parameters: {name:Type} or ?.
func built() map[string]string {
	return map[string]string{
		"schemas/clickhouse/ execDDL":    "statements of the embedded migration files",
		"sink/insert/ Insert":            "names of tables and columns that package clickhouse declares",
		"deploy/verify/ portion":         "names of columns from its own list; values are parameters",
		"deploy/demo/ rows":              "its callers are looked at",
		"deploy/verify/ all":             "its callers are looked at",
		"benchmarks/chaos/ revisionsOf":  "names of two tables, given in judge.go",
		"benchmarks/sink/ quiet":         "names of tables that package clickhouse declares",
		"benchmarks/sink/ insertColumns": "names of a table and columns that package clickhouse declares",
	}
}

// sends lists what sends SQL, with the place of the query among the arguments:
// methods of clickhouse-go's connections, and the functions around them.
func sends() map[string]int {
	return map[string]int{
		".Query": 1, ".QueryRow": 1, ".Exec": 1, ".PrepareBatch": 1, ".AsyncInsert": 1, ".Select": 2,
		"rows": 2, "all": 2,
	}
}

// TestQueriesAreConstants: a value in the text of a query is a query of whoever
// chose the value.
func TestQueriesAreConstants(t *testing.T) {
	known := constants(sources(t, false))
	used := map[string]bool{}
	for _, s := range sources(t, false) {
		if !usesClickHouse(s) {
			continue
		}
		dir := s.path[:strings.LastIndex(s.path, "/")+1]
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				query := sent(n)
				if query == nil || constant(query, known[dir]) {
					return true
				}
				place := dir + " " + f.Name.Name
				used[place] = true
				if built()[place] == "" {
					t.Errorf("%s: %s sends SQL that is put together; pass values as parameters {name:Type}, or give the reason in deploy/rules", s.at(n), f.Name.Name)
				}
				return true
			})
		}
	}
	for place := range built() {
		if !used[place] {
			t.Errorf("%s builds no query any more; take it off the list", place)
		}
	}
}

// The rule tells what is put together from what is not.
func TestConstantQueriesAreTold(t *testing.T) {
	for text, want := range map[string]bool{
		`"SELECT 1"`: true, `"SELECT " + column`: true, `"SELECT 1 FROM " + clickhouse.Database`: true, `"SELECT " + millis("ts")`: true,
		`query`: false, `"SELECT " + query`: false, `fmt.Sprintf("SELECT %s", name)`: false, `r.Name`: false, `"x" + clickhouse.LogTable(name)`: false,
	} {
		e, err := parser.ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := constant(e, map[string]bool{"column": true}); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func usesClickHouse(s source) bool {
	for _, imp := range s.file.Imports {
		if path := strings.Trim(imp.Path.Value, `"`); strings.HasPrefix(path, "github.com/ClickHouse/") || path == module+"schemas/clickhouse" {
			return true
		}
	}
	return false
}

// sent is the query that a node sends, nil for another node.
func sent(n ast.Node) ast.Expr {
	switch x := n.(type) {
	case *ast.CompositeLit: // ch-go takes a struct
		if sel, ok := x.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Query" {
			for _, e := range x.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok && pair.Key.(*ast.Ident).Name == "Body" {
					return pair.Value
				}
			}
		}
	case *ast.CallExpr:
		name := ""
		switch fun := x.Fun.(type) {
		case *ast.SelectorExpr:
			name = "." + fun.Sel.Name
		case *ast.Ident:
			name = fun.Name
		}
		if at, ok := sends()[name]; ok && at < len(x.Args) {
			return x.Args[at]
		}
	}
	return nil
}

// constants are the names that the files of each folder declare as constants, at
// any depth.
func constants(files []source) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, s := range files {
		dir := s.path[:strings.LastIndex(s.path, "/")+1]
		if all[dir] == nil {
			all[dir] = map[string]bool{}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.CONST {
				for _, spec := range d.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						all[dir][name.Name] = true
					}
				}
			}
			return true
		})
	}
	return all
}

// packages whose exported names in queries are constants.
func declares(name string) bool { return name == "clickhouse" || name == "schemas" }

// constant reports whether an expression is made of literals and constants, its
// own folder's or those of the packages that declare the schema, and of functions
// of them.
func constant(e ast.Expr, known map[string]bool) bool {
	switch x := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.ParenExpr:
		return constant(x.X, known)
	case *ast.BinaryExpr:
		return x.Op == token.ADD && constant(x.X, known) && constant(x.Y, known)
	case *ast.Ident:
		return known[x.Name]
	case *ast.SelectorExpr:
		pkg, ok := x.X.(*ast.Ident)
		return ok && declares(pkg.Name)
	case *ast.CallExpr:
		switch fun := x.Fun.(type) {
		case *ast.Ident:
		case *ast.SelectorExpr:
			if !constant(fun, known) {
				return false
			}
		default:
			return false
		}
		for _, arg := range x.Args {
			if !constant(arg, known) {
				return false
			}
		}
		return len(x.Args) > 0
	}
	return false
}
