package owners

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gpumeter/gpumeter/schemas"
)

// maxText bounds a label, a name, an argument; in bytes.
const maxText = 512

// An environ is what was kept of a process's environment: the wanted variables.
type environ map[string]string

// parseEnviron reads the text of /proc/PID/environ and keeps what is wanted. Of a
// repeated variable the first counts, as for getenv.
func parseEnviron(text string, wanted map[string]bool) environ {
	kept := environ{}
	for entry := range strings.SplitSeq(text, "\x00") {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || !wanted[name] {
			continue
		}
		if _, twice := kept[name]; !twice {
			kept[name] = strings.Clone(clean(value))
		}
	}
	return kept
}

// first gives the first of the variables that is set and not empty.
func (e environ) first(names ...string) string {
	for _, name := range names {
		if v := e[name]; v != "" {
			return v
		}
	}
	return ""
}

// Variables that tell what an allocation is called. Slurm sets its own, JupyterHub
// and Apptainer theirs; those of pods come from the downward API under the names
// that its documentation uses.
func nameVariables(k Kind) []string {
	switch k {
	case Slurm:
		return []string{"SLURM_JOB_NAME"}
	case Pod:
		return []string{"POD_NAME", "MY_POD_NAME", "K8S_POD_NAME", "HOSTNAME"} // kubelet names the host after the pod
	default:
		return []string{"GPUMETER_NAME"}
	}
}

func namespaceVariables(k Kind) []string {
	switch k {
	case Slurm:
		return []string{"SLURM_JOB_PARTITION"}
	case Pod:
		return []string{"POD_NAMESPACE", "MY_POD_NAMESPACE", "K8S_POD_NAMESPACE", "K8S_NAMESPACE"}
	default:
		return nil
	}
}

// userVariables are asked where the user id of the process is the image's choice
// or names nobody whom this machine knows.
func userVariables(k Kind) []string {
	switch k {
	case Slurm:
		return []string{"SLURM_JOB_USER"}
	case Pod, Container:
		return []string{"GPUMETER_USER", "JUPYTERHUB_USER"}
	default:
		return nil
	}
}

func imageVariables() []string {
	return []string{"GPUMETER_IMAGE", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"}
}

// grantVariable lists the devices that the device plugin of Kubernetes granted.
const grantVariable = "NVIDIA_VISIBLE_DEVICES"

// granted tells that the environment names devices, not all or none of them.
func (e environ) granted() bool {
	switch e[grantVariable] {
	case "", "all", "none", "void":
		return false
	}
	return true
}

// A labelRule makes a variable a label.
type labelRule struct{ variable, key string }

func labelRules(list []string) []labelRule {
	rules := make([]labelRule, len(list))
	for i, l := range list {
		rules[i].variable, rules[i].key, _ = strings.Cut(l, "=")
	}
	return rules
}

// labels applies the rules in their order; what is there already stays.
func (e environ) labels(rules []labelRule, there []schemas.Label) []schemas.Label {
	set := make(map[string]bool, len(there)+len(rules))
	for _, l := range there {
		set[l.Key] = true
	}
	for _, r := range rules {
		if v := e[r.variable]; v != "" && !set[r.key] {
			set[r.key] = true
			there = append(there, schemas.Label{Key: r.key, Value: maskText(v)})
		}
	}
	return there
}

// wanted are the variables that are kept.
func wanted(rules []labelRule) map[string]bool {
	names := map[string]bool{grantVariable: true}
	for _, r := range rules {
		names[r.variable] = true
	}
	lists := [][]string{imageVariables()}
	for _, k := range []Kind{Slurm, Pod, Container, Unit, User} {
		lists = append(lists, nameVariables(k), namespaceVariables(k), userVariables(k))
	}
	for _, list := range lists {
		for _, name := range list {
			names[name] = true
		}
	}
	return names
}

// clean makes text valid UTF-8 of one line, at most maxText bytes long.
func clean(text string) string {
	text = bounded(text)
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?")))
}

// bounded cuts text to maxText bytes, between characters.
func bounded(text string) string {
	if len(text) <= maxText {
		return text
	}
	const mark = "…"
	cut := maxText - len(mark)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + mark
}
