package oracle

import (
	"cmp"
	"slices"
)

// An allocation is one hold: rule 6's fold of its events.
type allocation struct {
	id                           string
	from, to                     int64 // ms; to is maxInt64 while it is open
	user, name, namespace, image string

	// What is named from each instant on, in order of time.
	gpus   []change[[]ref]
	labels []change[[]Label]
}

type change[T any] struct {
	at    int64 // ms
	value T
}

// at is the value of the latest change that is not later than t.
func at[T any](changes []change[T], t int64) (value T) {
	for _, c := range changes {
		if c.at <= t {
			value = c.value
		}
	}
	return value
}

// foldAllocations makes the holds of the events before the horizon. An
// allocation without a start is not there.
func foldAllocations(events []event, horizon int64) map[string]*allocation {
	type key struct {
		allocation, kind string
		ts               int64
	}
	greatest := map[key]event{}
	for _, e := range events {
		k := key{e.allocation, e.kind, e.ts}
		other, known := greatest[k]
		if e.ts < horizon && (!known || compareEvents(e, other) > 0) {
			greatest[k] = e
		}
	}
	byID := map[string][]event{}
	for _, e := range greatest {
		byID[e.allocation] = append(byID[e.allocation], e)
	}
	folded := map[string]*allocation{}
	for id, list := range byID {
		if a := fold(id, list); a != nil {
			folded[id] = a
		}
	}
	return folded
}

func fold(id string, events []event) *allocation {
	// At one instant a start comes before an update, so that the update wins.
	order := map[string]int{"start": 0, "update": 1, "end": 2}
	slices.SortFunc(events, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.ts, b.ts), cmp.Compare(order[a.kind], order[b.kind]))
	})
	first := slices.IndexFunc(events, func(e event) bool { return e.kind == "start" })
	if first < 0 {
		return nil
	}
	start := events[first]
	a := &allocation{id: id, from: start.ts, to: maxInt64, user: start.user, name: start.name, namespace: start.namespace, image: start.image}
	for _, e := range events {
		switch {
		case e.kind == "end":
			a.to = e.ts // in order of time: the latest stays
			continue
		case e.hasGPUs:
			a.gpus = append(a.gpus, change[[]ref]{e.ts, e.gpus})
		}
		if e.hasLabels {
			a.labels = append(a.labels, change[[]Label]{e.ts, e.labels})
		}
	}
	return a
}

// A holder is an allocation seen from the GPU that it holds.
type holder struct {
	*allocation
	slice string
	share int64 // ppm, Absent = not given
}

func compareHolders(a, b holder) int {
	return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.slice, b.slice), cmp.Compare(a.share, b.share))
}

// A hold is a holder from one instant to another.
type hold struct {
	holder
	from, to int64 // ms
}

// holdsByDevice lists the holds of each GPU in order of from.
func holdsByDevice(all map[string]*allocation) map[device][]hold {
	holds := map[device][]hold{}
	for _, a := range all {
		cuts := []int64{a.from, a.to}
		for _, c := range a.gpus {
			if a.from < c.at && c.at < a.to {
				cuts = append(cuts, c.at)
			}
		}
		slices.Sort(cuts)
		for i := 1; i < len(cuts) && a.from < a.to; i++ {
			for _, r := range greatestShares(at(a.gpus, cuts[i-1])) {
				if cuts[i-1] < cuts[i] {
					holds[r.device] = append(holds[r.device], hold{holder{a, r.slice, r.share}, cuts[i-1], cuts[i]})
				}
			}
		}
	}
	for _, list := range holds {
		slices.SortFunc(list, func(a, b hold) int { return cmp.Compare(a.from, b.from) })
	}
	return holds
}

// greatestShares keeps one of the refs that name the same GPU or slice. They
// are sorted, the greatest share is the last.
func greatestShares(refs []ref) []ref {
	var kept []ref
	for i, r := range refs {
		if i+1 == len(refs) || refs[i+1].series != r.series {
			kept = append(kept, r)
		}
	}
	return kept
}
