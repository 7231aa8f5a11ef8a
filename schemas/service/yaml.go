package service

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// parseYAML reads the settings of a YAML document with the line of each. It
// takes mappings, sequences of scalars, and scalars: a configuration needs no
// anchors, tags or several documents, and what is not needed cannot surprise.
func parseYAML(name string, text []byte) ([]setting, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		return nil, fmt.Errorf("%s: more than one document", name)
	}
	w := yamlWalk{name: name, seen: map[string]int{}}
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		err = w.branch("", file.Docs[0].Body)
	}
	return w.settings, err
}

type yamlWalk struct {
	name     string
	seen     map[string]int // line of each key
	settings []setting
}

func (w *yamlWalk) place(n ast.Node) string {
	return fmt.Sprintf("%s:%d", w.name, line(n))
}

func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

func (w *yamlWalk) branch(prefix string, n ast.Node) error {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if err := w.pair(prefix, v); err != nil {
				return err
			}
		}
		return nil
	case *ast.MappingValueNode:
		return w.pair(prefix, n)
	case *ast.CommentGroupNode, *ast.NullNode:
		return nil
	}
	return fmt.Errorf("%s: a mapping of keys to values is wanted, not %s", w.place(n), n.Type())
}

func (w *yamlWalk) pair(prefix string, n *ast.MappingValueNode) error {
	key, ok := scalar(n.Key)
	if !ok {
		return fmt.Errorf("%s: a key must be plain text", w.place(n.Key))
	}
	key = prefix + key
	switch value := n.Value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return w.branch(key+".", value)
	case *ast.SequenceNode:
		items := make([]string, len(value.Values))
		for i, item := range value.Values {
			if items[i], ok = scalar(item); !ok {
				return fmt.Errorf("%s: %s: a list holds plain values only", w.place(item), key)
			}
		}
		return w.add(setting{key: key, list: items, place: w.place(n.Key)}, line(n.Key))
	}
	text, ok := scalar(n.Value)
	if !ok {
		return fmt.Errorf("%s: %s: a plain value is wanted, not %s: leave the key out for its default", w.place(n.Key), key, n.Value.Type())
	}
	return w.add(setting{key: key, value: text, place: w.place(n.Key)}, line(n.Key))
}

func (w *yamlWalk) add(s setting, at int) error {
	if first, twice := w.seen[s.key]; twice {
		return fmt.Errorf("%s: key %q was given in line %d already", s.place, s.key, first)
	}
	w.seen[s.key] = at
	w.settings = append(w.settings, s)
	return nil
}

// scalar is the text of a plain value as it was written.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}
