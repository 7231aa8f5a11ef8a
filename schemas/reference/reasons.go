package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

// A reason is a constant Reason… of package schemas with its comment.
type reason struct {
	name, doc string
	kept      bool // what it reports is kept, not refused
}

// reasons reads them from the source: their comments are the documentation. In
// the declaration an empty line parts those that refuse from those that report.
func reasons(schemas string) ([]reason, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, filepath.Join(schemas, "reasons.go"), nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("read the reasons of dead letters: %w", err)
	}
	var out []reason
	line, kept := 0, false
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if !strings.HasPrefix(v.Names[0].Name, "Reason") {
				continue
			}
			at := set.Position(v.Pos()).Line
			kept = kept || (line > 0 && at > line+1)
			line = at
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				return nil, fmt.Errorf("constant %s: %w", v.Names[0].Name, err)
			}
			out = append(out, reason{text, strings.TrimSpace(v.Comment.Text()), kept})
		}
	}
	return out, nil
}
