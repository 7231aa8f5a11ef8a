package contract

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// Allocation reads one line of allocations.ndjson into a. The lists of a are
// new: a may be kept.
func (p *Parser) Allocation(line []byte, a *schemas.Allocation) error {
	*a = schemas.Allocation{TS: missing, ReqGPUs: -1, ReqWalltime: -1, SubmittedAt: missing}
	err := p.object(line, func(key []byte) *Error { return p.allocationField(key, a) })
	if err == nil {
		err = checkAllocation(a)
	}
	return asError(err)
}

func checkAllocation(a *schemas.Allocation) *Error {
	switch a.Event {
	case schemas.EventStart, schemas.EventUpdate, schemas.EventEnd:
	default:
		return refuse(schemas.ReasonUnknownEvent, "event", "%q is not start, update or end", show([]byte(a.Event)))
	}
	switch a.State {
	case "", "completed", "failed", "cancelled":
	default:
		return badField("state", "%q is not completed, failed or cancelled", show([]byte(a.State)))
	}
	if err := required("ts", a.TS, "allocation", a.Allocation); err != nil {
		return err
	}
	return after1970("submitted_at", &a.SubmittedAt)
}

func (p *Parser) allocationField(key []byte, a *schemas.Allocation) *Error {
	switch string(key) {
	case "ts":
		return p.time("ts", &a.TS)
	case "event":
		return p.text("event", &a.Event)
	case "allocation":
		return p.text("allocation", &a.Allocation)
	case "gpus":
		return p.gpuRefs(a)
	case "user":
		return p.text("user", &a.User)
	case "name":
		return p.text("name", &a.Name)
	case "namespace":
		return p.text("namespace", &a.Namespace)
	case "image":
		return p.text("image", &a.Image)
	case "command":
		return p.command(&a.Command)
	case "labels":
		return p.labels(a)
	case "requested":
		return p.requested(a)
	case "submitted_at":
		return p.time("submitted_at", &a.SubmittedAt)
	case "state":
		return p.text("state", &a.State)
	default:
		return p.ignore("", key)
	}
}

// gpuRefs reads gpus. An empty list is something else than none: an update
// that names no GPU gives all of them back.
func (p *Parser) gpuRefs(a *schemas.Allocation) *Error {
	a.HasGPUs, a.GPUs = false, nil
	absent, err := p.value("gpus", kindList, schemas.ReasonBadField)
	if absent || err != nil {
		return err
	}
	a.HasGPUs = true
	err = p.scan.list(func() *Error {
		var ref schemas.GPURef
		if err := p.gpuRef(&ref); err != nil {
			return err
		}
		a.GPUs = append(a.GPUs, ref)
		return nil
	})
	slices.SortFunc(a.GPUs, func(x, y schemas.GPURef) int {
		return cmp.Or(strings.Compare(x.Node, y.Node), strings.Compare(x.GPU, y.GPU), strings.Compare(x.Slice, y.Slice), cmp.Compare(x.Share, y.Share))
	})
	return err
}

func (p *Parser) gpuRef(ref *schemas.GPURef) *Error {
	if k := p.scan.kind(); k != kindObject {
		if k == kindInvalid {
			return p.scan.unexpected("an object")
		}
		return badField("gpus", `holds %s, must hold objects like {"node":"n1","gpu":"g0"}`, k)
	}
	err := p.scan.object(func(key []byte) *Error {
		switch string(key) {
		case "node":
			return p.text("gpus.node", &ref.Node)
		case "gpu":
			return p.text("gpus.gpu", &ref.GPU)
		case "slice":
			return p.text("gpus.slice", &ref.Slice)
		case "share":
			return p.share(&ref.Share)
		default:
			return p.ignore("gpus.", key)
		}
	})
	if err == nil {
		err = required("", 0, "gpus.node", ref.Node, "gpus.gpu", ref.GPU)
	}
	if err == nil && ref.Slice != "" && ref.Share == 0 {
		err = refuse(schemas.ReasonBadShare, "gpus.share", "is missing for slice %q: a slice needs its share of the device", show([]byte(ref.Slice)))
	}
	return err
}

// share reads a decimal in (0, 1] in millionths; null is 0, not given. What
// rounds to no millionth is refused too, since 0 would say "not given".
func (p *Parser) share(to *int32) *Error {
	*to = 0
	d, text, absent, err := p.decimal("gpus.share", schemas.ReasonBadShare, 6)
	if absent || err != nil {
		return err
	}
	v, _ := d.halfUp()
	if d.negative || !d.atMost(one) || v == 0 {
		return refuse(schemas.ReasonBadShare, "gpus.share", "%s is not above 0 (at least half a millionth) and at most 1", show(text))
	}
	*to = int32(v)
	return nil
}

func (p *Parser) command(to *[]string) *Error {
	*to = nil
	absent, err := p.value("command", kindList, schemas.ReasonBadField)
	if absent || err != nil {
		return err
	}
	return p.scan.list(func() *Error {
		text, _, err := p.scalar("command")
		*to = append(*to, text)
		return err
	})
}

// labels reads an object of texts. Of a key that repeats the last one counts.
func (p *Parser) labels(a *schemas.Allocation) *Error {
	a.HasLabels, a.Labels = false, nil
	absent, err := p.value("labels", kindObject, schemas.ReasonBadField)
	if absent || err != nil {
		return err
	}
	a.HasLabels = true
	if err := p.scan.object(func(key []byte) *Error { return p.label(p.intern(key), a) }); err != nil {
		return err
	}
	slices.SortStableFunc(a.Labels, func(x, y schemas.Label) int { return strings.Compare(x.Key, y.Key) })
	a.Labels = lastOfEach(a.Labels)
	return nil
}

func (p *Parser) label(key string, a *schemas.Allocation) *Error {
	text, absent, err := p.scalar("labels")
	if err == nil && !absent {
		a.Labels = append(a.Labels, schemas.Label{Key: key, Value: text})
	}
	return err
}

// lastOfEach keeps the last of the labels of one key, in place.
func lastOfEach(sorted []schemas.Label) []schemas.Label {
	kept := sorted[:0]
	for i, l := range sorted {
		if i+1 == len(sorted) || sorted[i+1].Key != l.Key {
			kept = append(kept, l)
		}
	}
	return kept
}

// scalar reads a text, or a number or boolean as its text.
func (p *Parser) scalar(field string) (text string, absent bool, err *Error) {
	var b []byte
	switch k := p.scan.kind(); k {
	case kindText:
		b, err = p.scan.text()
	case kindNumber:
		b, err = p.scan.number()
	case kindBool:
		text, err = p.scan.word()
		return text, false, err
	case kindNull:
		_, err = p.scan.word()
		return "", true, err
	case kindInvalid:
		err = p.scan.unexpected("a text")
	default:
		err = badField(field, "holds %s, must hold texts", k)
	}
	if err != nil {
		return "", false, err
	}
	return p.intern(b), false, nil
}

func (p *Parser) requested(a *schemas.Allocation) *Error {
	a.ReqGPUs, a.ReqWalltime = -1, -1
	absent, err := p.value("requested", kindObject, schemas.ReasonBadField)
	if absent || err != nil {
		return err
	}
	return p.scan.object(func(key []byte) *Error {
		switch string(key) {
		case "gpus":
			return p.asked("requested.gpus", &a.ReqGPUs)
		case "walltime_seconds":
			return p.asked("requested.walltime_seconds", &a.ReqWalltime)
		default:
			return p.ignore("requested.", key)
		}
	})
}

// asked reads what was asked for, half up to whole numbers: it explains an
// allocation and is no ground to refuse one.
func (p *Parser) asked(field string, to *int64) *Error {
	v, absent, err := p.amount(field, 0, math.MaxInt64)
	*to = v
	if absent {
		*to = -1
	}
	return err
}
