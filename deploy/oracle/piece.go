package oracle

import (
	"math/big"
	"slices"
)

// A piece is a stretch of a GPU's time on one record with one set of holders
// (rule 2).
type piece struct {
	from, to int64    // ms
	owner    *record  // who has the GPU; on other records it is without holder or sample
	owned    bool     // the owner is the record whose piece this is
	holders  []holder // in order of allocation and slice
}

// pieces cuts the existence of r for one of its GPUs.
func (l *Ledger) pieces(r *record, gpu string) []piece {
	d := device{r.Node, gpu}
	cuts := []int64{r.start, r.end}
	for _, other := range l.onDevice[d] {
		cuts = append(cuts, other.start, other.end)
	}
	for _, h := range l.holds[d] {
		cuts = append(cuts, h.from, h.to)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)

	var pieces []piece
	var active []hold
	waiting := l.holds[d]
	for i, t := range cuts {
		for len(waiting) > 0 && waiting[0].from <= t {
			active = append(active, waiting[0])
			waiting = waiting[1:]
		}
		active = slices.DeleteFunc(active, func(h hold) bool { return h.to <= t })
		if !r.exists(t) {
			continue
		}
		p := piece{from: t, to: cuts[i+1], owner: l.owner(d, t)}
		if p.owned = p.owner == r; p.owned {
			p.holders = holdersOf(active)
		}
		pieces = appendPiece(pieces, p)
	}
	return pieces
}

// appendPiece lengthens the last piece where neither owner nor holders changed.
func appendPiece(pieces []piece, p piece) []piece {
	if n := len(pieces) - 1; n >= 0 && pieces[n].owner == p.owner && slices.Equal(pieces[n].holders, p.holders) {
		pieces[n].to = p.to
		return pieces
	}
	return append(pieces, p)
}

// owner is who has a GPU at t: of several records the latest, then the one with
// the greatest resource id.
func (l *Ledger) owner(d device, t int64) (owner *record) {
	for _, r := range l.onDevice[d] {
		if r.exists(t) && (owner == nil || owner.before(r)) {
			owner = r
		}
	}
	return owner
}

func holdersOf(active []hold) []holder {
	list := make([]holder, 0, len(active))
	for _, h := range active {
		list = append(list, h.holder)
	}
	slices.SortFunc(list, compareHolders)
	return list
}

// A rectangle is a holder's part of a piece, or what is left over.
type rectangle struct {
	holder *holder // nil = nobody
	x0, x1 int64   // ppm of the GPU
}

// rectangles divides the device among the holders of a piece (rule 5).
func (p *piece) rectangles() []rectangle {
	without, given := int64(0), int64(0)
	for _, h := range p.holders {
		if h.share == Absent {
			without++
		} else {
			given += h.share
		}
	}
	// To stay whole, all weights are times the number of holders without share.
	factor := max(1, without)
	weights := make([]int64, len(p.holders))
	sum := int64(0)
	for i, h := range p.holders {
		weights[i] = max(0, million-given)
		if h.share != Absent {
			weights[i] = h.share * factor
		}
		sum += weights[i]
	}
	all := big.NewInt(max(million*factor, sum))

	var list []rectangle
	x, so := int64(0), int64(0)
	for i := range p.holders {
		so += weights[i]
		bound := new(big.Int).Mul(big.NewInt(million), big.NewInt(so))
		next := bound.Div(bound, all).Int64()
		list = append(list, rectangle{&p.holders[i], x, next})
		x = next
	}
	if x < million {
		list = append(list, rectangle{nil, x, million})
	}
	return list
}

// attribution says how the rectangle got its width.
func (p *piece) attribution(r rectangle) string {
	switch {
	case r.holder == nil:
		return "none"
	case r.holder.slice != "":
		return "slice"
	case r.holder.share != Absent:
		return "given"
	case len(p.holders) == 1:
		return "exclusive"
	}
	return "equal"
}
