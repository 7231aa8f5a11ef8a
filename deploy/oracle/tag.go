package oracle

import (
	"cmp"
	"slices"
	"strings"
)

// A pair is one key=value of a rule's match or set.
type pair struct{ key, value string }

// A rule is one line of tags.csv.
type rule struct {
	match, set string // as written
	from, to   int64  // ms; to is maxInt64 while it is open
	priority   int64
}

// attributes are what rules set and what labels name, in the order of the ledger.
func attributes() []string {
	return []string{"team", "project", "cost_center", "environment", "model", "model_version", "phase"}
}

func tagTable(in *input) table {
	return table{
		required: []string{"match", "set", "effective_from"},
		row: func(cell func(string) string) error {
			t, err := parseRule(cell)
			if err == nil {
				in.tags = append(in.tags, t)
			}
			return err
		},
	}
}

func parseRule(cell func(string) string) (rule, error) {
	t := rule{match: cell("match"), set: cell("set"), to: maxInt64}
	if !isMatch(t.match) || !isSet(t.set) {
		return t, errRow
	}
	if text := strings.TrimSpace(cell("priority")); text != "" {
		r, ok := exact(text)
		if !ok || !r.IsInt() || !r.Num().IsInt64() || r.Num().Int64() == maxInt64 {
			return t, errRow
		}
		t.priority = r.Num().Int64()
	}
	var err error
	if t.from, err = cellTime(cell("effective_from"), true, false); err != nil {
		return t, err
	}
	to, err := cellTime(cell("effective_to"), false, true)
	if err == nil && to != Absent {
		t.to = to
	}
	return t, err
}

// pairs splits "key=value;key=value"; nil when a part has no key.
func pairs(text string) []pair {
	var list []pair
	for _, part := range strings.Split(text, ";") {
		key, value, ok := strings.Cut(part, "=")
		if !ok || key == "" {
			return nil
		}
		list = append(list, pair{key, value})
	}
	return list
}

func isMatch(text string) bool {
	known := []string{"allocation", "user", "name", "namespace", "image", "node", "resource", "provider", "region", "sku", "gpu_model"}
	list := pairs(text)
	for _, p := range list {
		label, isLabel := strings.CutPrefix(p.key, "label.")
		if !slices.Contains(known, p.key) && (!isLabel || label == "") {
			return false
		}
	}
	return list != nil
}

func isSet(text string) bool {
	list := pairs(text)
	seen := map[string]bool{}
	for _, p := range list {
		if !slices.Contains(attributes(), p.key) || seen[p.key] {
			return false
		}
		seen[p.key] = true
	}
	return list != nil
}

// distinctRules drops repeated rules and those that are never in force, and
// puts the one that wins (rule 9) first.
func distinctRules(all []rule) []rule {
	all = slices.DeleteFunc(slices.Clone(all), func(t rule) bool { return t.to <= t.from })
	slices.SortFunc(all, func(a, b rule) int {
		return -cmp.Or(
			cmp.Compare(a.priority, b.priority), cmp.Compare(len(a.match), len(b.match)),
			cmp.Compare(a.from, b.from), strings.Compare(a.match+","+a.set, b.match+","+b.set),
			cmp.Compare(a.to, b.to), strings.Compare(a.match, b.match))
	})
	return slices.Compact(all)
}

// A subject is what rules match: a holder, or nobody, on a GPU of a resource.
type subject struct {
	*record
	holder *holder
	labels []Label
}

// value is the text that a match key looks at; empty when there is none.
func (s *subject) value(key string) string {
	if label, ok := strings.CutPrefix(key, "label."); ok {
		return labelOf(s.labels, label)
	}
	if s.holder != nil {
		switch key {
		case "allocation":
			return s.holder.id
		case "user":
			return s.holder.user
		case "name":
			return s.holder.name
		case "namespace":
			return s.holder.namespace
		case "image":
			return s.holder.image
		}
	}
	switch key {
	case "node":
		return s.Node
	case "resource":
		return s.Resource
	case "provider":
		return s.Provider
	case "region":
		return s.Region
	case "sku":
		return s.SKU
	case "gpu_model":
		return s.GPUModel
	}
	return ""
}

func labelOf(labels []Label, key string) string {
	for _, l := range labels {
		if l.Key == key {
			return l.Value
		}
	}
	return ""
}

// matching lists the rules that match s, whenever they are in force.
func (l *Ledger) matching(s *subject) []rule {
	var list []rule
	for _, t := range l.tags {
		all := true
		for _, p := range pairs(t.match) {
			all = all && matches(p.value, s.value(p.key))
		}
		if all {
			list = append(list, t)
		}
	}
	return list
}

// matches tells whether text has the form of a glob, where `*` stands for any
// characters and `?` for one.
func matches(glob, text string) bool {
	t := []rune(text)
	reached := make([]bool, len(t)+1) // reached[i]: what was seen of glob can be t[:i]
	reached[0] = true
	for _, c := range glob {
		next := make([]bool, len(t)+1)
		for i := range next {
			switch {
			case c == '*':
				next[i] = reached[i] || i > 0 && next[i-1]
			case i > 0 && (c == '?' || c == t[i-1]):
				next[i] = reached[i-1]
			}
		}
		reached = next
	}
	return reached[len(t)]
}

// attribute is rule 9: what the matching rules set at t, else the labels.
func attribute(matching []rule, labels []Label, t int64) map[string]string {
	values := map[string]string{}
	for _, key := range attributes() {
		values[key] = labelOf(labels, key)
		for _, r := range slices.Backward(matching) { // the winner comes last
			for _, p := range pairs(r.set) {
				if p.key == key && r.from <= t && t < r.to {
					values[key] = p.value
				}
			}
		}
	}
	return values
}
