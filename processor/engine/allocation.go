package engine

import (
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// An allocation is the set of its events and the hold that follows from it.
type allocation struct {
	name    string
	id      text
	events  []told // greatest of each (event, ts), by ts, updates behind starts
	changed bool   // in Engine.refold
	leaves  bool   // in Engine.ended
	unsaved bool   // in Engine.unsaved
	orphan  uint8  // told of a missing start, or waiting to tell

	// As of the last fold.
	started                   bool
	from, to                  int64 // the hold; to is never while open
	user, title, space, image text
	labels                    []labelling
	relabelled                int64 // from here on they differ from those of the fold before; never = nowhere
	widths                    []width
	version                   uint32 // counts changes of what attribution may read
	hash                      uint64 // of all that a row repeats of it
	holds                     []placed
	attributions              []*attribution
}

// A told event is one of the events of an allocation.
type told struct {
	schemas.Allocation
	json text // its labels
}

// A labelling is the labels of an allocation from an instant on.
type labelling struct {
	from   int64
	labels []schemas.Label
	json   text
}

// A width is how many GPUs and slices an allocation holds from an instant on.
type width struct {
	from int64
	n    uint32
}

// width is how many GPUs and slices al holds at t, on all nodes: none when it is
// over.
func (al *allocation) width(t int64) (n uint32) {
	if t >= al.to {
		return 0
	}
	for _, w := range al.widths {
		if w.from > t {
			break
		}
		n = w.n
	}
	return n
}

// A placed hold is a hold on a GPU of an owned node.
type placed struct {
	gpu      *gpu
	slice    string
	share    int32
	from, to int64
}

// rank orders events of one instant so that an update comes behind a start, and
// wins in a search backwards.
func rank(event string) int64 {
	switch event {
	case schemas.EventStart:
		return 0
	case schemas.EventUpdate:
		return 1
	}
	return 2
}

// tell keeps an event of al and tells whether that changed anything.
func (e *Engine) tell(al *allocation, a *schemas.Allocation) bool {
	i, found := slices.BinarySearchFunc(al.events, a, func(have told, a *schemas.Allocation) int {
		if c := compareInt(have.TS, a.TS); c != 0 {
			return c
		}
		return compareInt(rank(have.Event), rank(a.Event))
	})
	if found && compareAllocation(a, &al.events[i].Allocation) <= 0 {
		return false
	}
	kept := told{*a, e.texts.hold(labelsJSON(a.Labels))}
	kept.GPUs, kept.Labels, kept.Command = slices.Clone(a.GPUs), slices.Clone(a.Labels), slices.Clone(a.Command)
	if found {
		e.texts.drop(al.events[i].json)
		al.events[i] = kept
	} else {
		al.events = slices.Insert(al.events, i, kept)
	}
	return true
}

// fold makes the hold of al as of the horizon and marks what changed.
func (e *Engine) fold(al *allocation) {
	al.changed = false
	events := al.events
	for len(events) > 0 && events[len(events)-1].TS >= e.horizon {
		events = events[:len(events)-1]
	}
	e.recollectHeld(al)
	before, image := al.hash, al.image
	holds := e.derive(al, events)
	if !al.started {
		e.bereave(al, events)
		return
	}
	e.replace(al, holds)
	relabelled := al.relabelled
	if before != al.hash || image != al.image {
		relabelled = al.from
	}
	if relabelled < never {
		al.version++
		for _, h := range al.holds {
			e.mark(h.gpu, max(h.from, relabelled), h.to)
		}
	}
	if al.to != never {
		e.leave(al, al.end())
	}
}

// derive makes of events what a row repeats of al, its labels and widths, and
// returns its holds, which are valid until the next call.
func (e *Engine) derive(al *allocation, events []told) []placed {
	al.started, al.from, al.to = false, 0, never
	var start *told
	for i := range events {
		switch ev := &events[i]; {
		case ev.Event == schemas.EventStart && start == nil:
			start = ev
		case ev.Event == schemas.EventEnd:
			al.to = ev.TS // the last one is the latest
		}
	}
	if start == nil {
		return nil
	}
	al.started, al.from = true, start.TS
	title := e.texts.hold(start.Name)
	e.texts.drop(al.title)
	al.user, al.title = e.texts.of(start.User), title
	al.space, al.image = e.texts.of(start.Namespace), e.texts.of(start.Image)
	al.hash = e.texts.sum(al.id, al.user, al.title, al.space)
	al.relabelled = e.relabel(al, events)
	return e.placeAll(al, events)
}

// forgetTexts drops the texts of al, of which nothing is kept.
func (e *Engine) forgetTexts(al *allocation) {
	for i := range al.events {
		e.texts.drop(al.events[i].json)
	}
	e.texts.drop(al.title)
	e.texts.drop(al.id)
}

// relabel makes the labels over time and returns from where on they differ from
// before, never for nowhere.
func (e *Engine) relabel(al *allocation, events []told) int64 {
	steps := e.labelled[:0]
	for i := range events {
		ev := &events[i]
		if !ev.HasLabels || ev.Event == schemas.EventEnd {
			continue
		}
		if n := len(steps); n > 0 && steps[n-1].from == ev.TS {
			steps = steps[:n-1]
		}
		if n := len(steps); n > 0 && steps[n-1].json == ev.json || n == 0 && ev.json == 0 {
			continue
		}
		steps = append(steps, labelling{ev.TS, ev.Labels, ev.json})
	}
	e.labelled = steps
	for i := range max(len(al.labels), len(steps)) {
		from := int64(never)
		if i < len(al.labels) {
			from = al.labels[i].from
		}
		if i < len(steps) {
			if i < len(al.labels) && from == steps[i].from && al.labels[i].json == steps[i].json {
				continue
			}
			from = min(from, steps[i].from)
		}
		al.labels = append(al.labels[:0:0], steps...)
		return from
	}
	return never
}

// placeAll expands the hold of al over the GPUs of owned nodes: what the latest
// event that names gpus says, from step to step.
func (e *Engine) placeAll(al *allocation, events []told) []placed {
	e.placed, al.widths = e.placed[:0], al.widths[:0]
	for i := range events {
		ev := &events[i]
		if !ev.HasGPUs || ev.Event == schemas.EventEnd {
			continue
		}
		from, to := max(ev.TS, al.from), al.to
		al.widths = append(al.widths, width{from, distinctRefs(ev.GPUs)})
		for k := i + 1; k < len(events); k++ {
			if next := &events[k]; next.HasGPUs && next.Event != schemas.EventEnd {
				to = min(to, next.TS)
				break
			}
		}
		if from < to {
			e.placeRefs(ev.GPUs, from, to)
		}
	}
	return e.placed
}

// placeRefs appends what one event names, or prolongs what it repeats. The refs are
// sorted by node, gpu, slice and share: of one slice named twice the last, which
// has the greater share, counts.
func (e *Engine) placeRefs(refs []schemas.GPURef, from, to int64) {
	known := len(e.placed)
	for i := range refs {
		ref := &refs[i]
		if i+1 < len(refs) && refs[i+1].Node == ref.Node && refs[i+1].GPU == ref.GPU && refs[i+1].Slice == ref.Slice {
			continue
		}
		n := e.node(ref.Node)
		if !n.owned {
			continue
		}
		p := placed{e.gpu(n, ref.GPU), ref.Slice, ref.Share, from, to}
		p.gpu.first = min(p.gpu.first, from)
		k := slices.IndexFunc(e.placed[:known], func(o placed) bool {
			return o.to == from && o.gpu == p.gpu && o.slice == p.slice && o.share == p.share
		})
		if k >= 0 {
			e.placed[k].to = to
			continue
		}
		e.placed = append(e.placed, p)
	}
}

// distinctRefs counts the slices that sorted refs name.
func distinctRefs(refs []schemas.GPURef) (n uint32) {
	for i := range refs {
		if i == 0 || refs[i].Node != refs[i-1].Node || refs[i].GPU != refs[i-1].GPU || refs[i].Slice != refs[i-1].Slice {
			n++
		}
	}
	return n
}

// labelsJSON is a JSON object of sorted labels, empty for none. It escapes what
// JSON demands and nothing else.
func labelsJSON(labels []schemas.Label) string {
	if len(labels) == 0 {
		return ""
	}
	var b strings.Builder
	for i, l := range labels {
		b.WriteByte("{,"[min(i, 1)])
		writeJSON(&b, l.Key)
		b.WriteByte(':')
		writeJSON(&b, l.Value)
	}
	b.WriteByte('}')
	return b.String()
}

func writeJSON(b *strings.Builder, s string) {
	const hex = "0123456789abcdef"
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20:
			b.WriteString(`\u00`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
