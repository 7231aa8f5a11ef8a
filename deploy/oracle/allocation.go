package oracle

import (
	"cmp"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
)

// A ref is a GPU or slice that an event names.
type ref struct {
	series
	share int64 // ppm, Absent = not given
}

// An event is one line of allocations.ndjson. Absent texts are empty.
type event struct {
	ts                           int64 // ms
	kind                         string
	allocation                   string
	hasGPUs                      bool
	gpus                         []ref // sorted
	user, name, namespace, image string
	command                      []string
	hasLabels                    bool
	labels                       []Label // sorted by key
	wantGPUs, wantSeconds        int64
	submitted                    int64 // ms
	state                        string
}

func (in *input) addEvent(line []byte) error {
	f := parseObject(line)
	e := event{
		ts: f.requiredTime("ts"), kind: f.text("event"), allocation: f.requiredText("allocation"),
		user: f.text("user"), name: f.text("name"), namespace: f.text("namespace"), image: f.text("image"),
		submitted: f.laterTime("submitted_at"), state: f.text("state"),
		wantGPUs: Absent, wantSeconds: Absent,
	}
	if !slices.Contains([]string{"start", "update", "end"}, e.kind) {
		f.fail("event", "is not start, update or end")
	}
	if !slices.Contains([]string{"", "completed", "failed", "cancelled"}, e.state) {
		f.fail("state", "is not completed, failed or cancelled")
	}
	e.gpus, e.hasGPUs = in.refs(f)
	e.labels, e.hasLabels = labels(f)
	e.command = command(f)
	if want := f.object("requested"); want != nil {
		e.wantGPUs, e.wantSeconds = want.amount("gpus", 0, maxAmount), want.amount("walltime_seconds", 0, maxAmount)
		f.merge(want)
	}
	in.checkTime(f, e.ts)
	if f.err != nil {
		return f.err
	}
	in.accepted(e.ts)
	in.events = append(in.events, e)
	return nil
}

// merge passes the error of an inner object on.
func (f *fields) merge(inner *fields) {
	if f.err == nil {
		f.err = inner.err
	}
}

func (in *input) refs(f *fields) ([]ref, bool) {
	items, given := f.list("gpus")
	var refs []ref
	for _, raw := range items {
		inner := &fields{}
		if raw[0] != '{' || json.Unmarshal(raw, &inner.members) != nil {
			f.fail("gpus", "must hold objects")
			break
		}
		r := ref{series{device{in.same(inner.requiredText("node")), in.same(inner.requiredText("gpu"))}, in.same(inner.text("slice"))}, share(inner)}
		if r.slice != "" && r.share == Absent {
			inner.fail("share", "is required for a slice")
		}
		f.merge(inner)
		refs = append(refs, r)
	}
	slices.SortFunc(refs, compareRefs)
	return refs, given
}

// share is in (0, 1], and at least a millionth once rounded.
func share(f *fields) int64 {
	r := f.number("share", 6)
	if r == nil {
		return Absent
	}
	if r.Sign() <= 0 || r.Cmp(big.NewRat(million, 1)) > 0 || halfUp(r).Sign() == 0 {
		f.fail("share", "is not in (0, 1]")
		return Absent
	}
	return halfUp(r).Int64()
}

func labels(f *fields) ([]Label, bool) {
	inner := f.object("labels")
	if inner == nil {
		return nil, false
	}
	var list []Label
	for key, raw := range inner.members {
		text, ok := scalar(raw)
		if !ok {
			f.fail("labels", "must hold texts")
		}
		if raw[0] != 'n' {
			list = append(list, Label{key, text})
		}
	}
	slices.SortFunc(list, compareLabels)
	return list, true
}

func command(f *fields) []string {
	items, _ := f.list("command")
	list := make([]string, 0, len(items))
	for _, raw := range items {
		text, ok := scalar(raw)
		if !ok {
			f.fail("command", "must hold texts")
		}
		list = append(list, text)
	}
	return list
}

func compareRefs(a, b ref) int {
	return cmp.Or(strings.Compare(a.node, b.node), strings.Compare(a.gpu, b.gpu), strings.Compare(a.slice, b.slice), cmp.Compare(a.share, b.share))
}

func compareLabels(a, b Label) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
}

// compareGiven orders false, "not named", before true.
func compareGiven(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// compareEvents orders the events of one key as rule 6 does: field by field in
// the contract's order, absent lowest.
func compareEvents(a, b event) int {
	return cmp.Or(
		compareGiven(a.hasGPUs, b.hasGPUs), slices.CompareFunc(a.gpus, b.gpus, compareRefs),
		strings.Compare(a.user, b.user), strings.Compare(a.name, b.name),
		strings.Compare(a.namespace, b.namespace), strings.Compare(a.image, b.image),
		slices.Compare(a.command, b.command),
		compareGiven(a.hasLabels, b.hasLabels), slices.CompareFunc(a.labels, b.labels, compareLabels),
		cmp.Compare(a.wantGPUs, b.wantGPUs), cmp.Compare(a.wantSeconds, b.wantSeconds),
		cmp.Compare(a.submitted, b.submitted), strings.Compare(a.state, b.state))
}
