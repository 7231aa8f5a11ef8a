package contract

import (
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Pair is one key=value of a tag rule's match or set.
type Pair struct{ Key, Value string }

// Pairs splits "key=value;key=value" as written: no space is trimmed, and a
// value may hold '=' but no ';'. ok is false when a part has no key.
func Pairs(text string) (pairs []Pair, ok bool) {
	for part := range strings.SplitSeq(text, ";") {
		key, value, found := strings.Cut(part, "=")
		if !found || key == "" {
			return nil, false
		}
		pairs = append(pairs, Pair{key, value})
	}
	return pairs, true
}

// checkTag makes sure that the processor can follow a rule to the letter.
func checkTag(r *schemas.Tag) *Error {
	match, ok := Pairs(r.Match)
	if !ok {
		return badField("match", "%q is not key=glob;key=glob (allocation=* matches everything)", show([]byte(r.Match)))
	}
	for _, p := range match {
		if !isMatchKey(p.Key) {
			return badField("match", "%q cannot be matched: use allocation, user, name, namespace, image, node, resource, provider, region, sku, gpu_model or label.KEY", show([]byte(p.Key)))
		}
	}
	set, ok := Pairs(r.Set)
	if !ok {
		return badField("set", "%q is not key=value;key=value", show([]byte(r.Set)))
	}
	seen := map[string]bool{}
	for _, p := range set {
		if !isSetKey(p.Key) {
			return badField("set", "%q cannot be set: use team, project, cost_center, environment, model, model_version or phase", show([]byte(p.Key)))
		}
		if seen[p.Key] {
			return badField("set", "%s is set twice", p.Key)
		}
		seen[p.Key] = true
	}
	return nil
}

func isMatchKey(key string) bool {
	switch key {
	case "allocation", "user", "name", "namespace", "image", "node", "resource", "provider", "region", "sku", "gpu_model":
		return true
	}
	label, ok := strings.CutPrefix(key, "label.")
	return ok && label != ""
}

func isSetKey(key string) bool {
	switch key {
	case "team", "project", "cost_center", "environment", "model", "model_version", "phase":
		return true
	}
	return false
}
