package idle

import "slices"

// A piece is time in which the measured and the active share of an allocation did
// not change. Sums are in ppm·ms: a millisecond in which half of the GPUs were
// measured is 500,000.
type piece struct {
	from, to         int64
	m, a             int64 // shares of its GPUs that were measured and active, ppm
	measured, active int64 // sums of all pieces before
}

func (p *piece) measuredAt(t int64) int64 { return p.measured + p.m*(t-p.from) }
func (p *piece) activeAt(t int64) int64   { return p.active + p.a*(t-p.from) }
func (p *piece) measuredEnd() int64       { return p.measuredAt(p.to) }

// idle tells whether the piece by itself is less active than share.
func (p *piece) idle(share uint32) bool { return p.m > 0 && p.a*whole < int64(share)*p.m }

// A line is what the GPUs of an allocation did together: pieces without holes, in
// time order.
type line []piece

// end is where the line ends; ok is false for an empty line.
func (l line) end() (t int64, ok bool) {
	if len(l) == 0 {
		return 0, false
	}
	return l[len(l)-1].to, true
}

// push lengthens the line to t.
func (l *line) push(from, to, m, a int64) {
	if from >= to {
		return
	}
	n := len(*l)
	if n == 0 {
		*l = append(*l, piece{from: from, to: to, m: m, a: a})
		return
	}
	last := &(*l)[n-1]
	if last.m == m && last.a == a {
		last.to = to
		return
	}
	*l = append(*l, piece{from: from, to: to, m: m, a: a, measured: last.measuredEnd(), active: last.activeAt(last.to)})
}

// cut forgets what is at t or later.
func (l *line) cut(t int64) {
	n, _ := slices.BinarySearchFunc(*l, t, func(p piece, t int64) int {
		if p.from < t {
			return -1
		}
		return 1
	})
	*l = (*l)[:n]
	if n > 0 {
		(*l)[n-1].to = min((*l)[n-1].to, t)
	}
}

// drop forgets what is before t, which is before the end.
func (l *line) drop(t int64) {
	n := 0
	for n < len(*l)-1 && (*l)[n].to <= t {
		n++
	}
	*l = slices.Delete(*l, 0, n)
	if p := &(*l)[0]; p.from < t {
		p.measured, p.active, p.from = p.measuredAt(t), p.activeAt(t), t
	}
}

// at is the index of the piece that t lies in, of the first or last one for what
// is before or after the line.
func (l line) at(t int64) int {
	n, _ := slices.BinarySearchFunc(l, t, func(p piece, t int64) int {
		if p.to <= t {
			return -1
		}
		return 1
	})
	return min(n, len(l)-1)
}

// sums are the measured and active sums before t.
func (l line) sums(t int64) (measured, active int64) {
	p := &l[l.at(t)]
	t = min(max(t, p.from), p.to)
	return p.measuredAt(t), p.activeAt(t)
}

// tail is the index of the latest piece in which the measured sum is mark: where a
// window begins.
func (l line) tail(mark int64) int {
	n, _ := slices.BinarySearchFunc(l, mark, func(p piece, mark int64) int {
		if p.measuredEnd() <= mark {
			return -1
		}
		return 1
	})
	return min(n, len(l)-1)
}

// instant is the latest whole millisecond at which the measured sum is at most
// mark.
func (l line) instant(mark int64) int64 {
	p := &l[l.tail(mark)]
	if p.m == 0 {
		return p.from
	}
	return p.from + (mark-p.measured)/p.m
}

// activeFrom is the active sum where the measured sum is mark, rounded down.
func (l line) activeFrom(mark int64) int64 {
	p := &l[l.tail(mark)]
	if p.m == 0 {
		return p.active
	}
	return p.active + proportion(mark-p.measured, p.a, p.m)
}

// idleFrom is the first instant from where the measured sum is mark at which the
// allocation was idle: activity at the front of a window is no part of it.
func (l line) idleFrom(mark int64, share uint32) int64 {
	from := l.instant(mark)
	for i := l.tail(mark); i < len(l); i++ {
		if l[i].idle(share) {
			return max(from, l[i].from)
		}
	}
	return from
}

// quietBefore is where the time without idleness begins that ends at t.
func (l line) quietBefore(t int64, share uint32) int64 {
	if t <= l[0].from {
		return t
	}
	for i := l.at(t - 1); i >= 0; i-- {
		if l[i].idle(share) {
			return min(l[i].to, t)
		}
	}
	return l[0].from
}

// proportion is value·part/of, part at most of and of below 2³¹, without overflow.
func proportion(value, part, of int64) int64 { return value/of*part + value%of*part/of }
