package fleet

// The rule of idleness, as a brute-force reading of its text: less than one
// fiftieth of the trailing five minutes (notice) or thirty (alert) of measured
// time was work. An allocation is watched second by second; inside a second, work
// and what is not measured are spread evenly. The rule is asked at the end of
// each second, and where the answer changes, millisecond by millisecond.

const (
	noticeAfter = 5 * 60_000  // ms of measured time
	alertAfter  = 30 * 60_000 // ms of measured time
	activePart  = 50
)

// A watch is the time of one allocation. Sums are in millionths of a second of
// one GPU, so that a millisecond of an even second is a whole number.
type watch struct {
	places  int64 // GPUs and slices that it holds
	seconds []second
	busy    []bool // something worked, measured or not

	measured, worked []int64 // sums before each second
	floor            int64   // windows begin here at the earliest: measured before
}

// A second is what one second of an allocation was, in GPU-milliseconds.
type second struct{ measured, worked int64 }

func newWatch(places, seconds int) *watch {
	return &watch{places: int64(places), seconds: make([]second, seconds), busy: make([]bool, seconds)}
}

// add puts one GPU's time to the others', and gives for each second the
// milliseconds of it that were measured and without work. Unknown stretches count
// from the allocation's start.
func (w *watch) add(busy []bool, unknown []Stretch) (idle []int64) {
	idle = make([]int64, len(w.seconds))
	for i := range w.seconds {
		from, to := int64(i)*1000, int64(i+1)*1000
		known := int64(1000)
		for _, u := range unknown {
			known -= max(0, min(to, u.To)-max(from, u.From))
		}
		w.seconds[i].measured += known
		if busy[i] {
			w.seconds[i].worked += known
			w.busy[i] = true
		} else {
			idle[i] = known
		}
	}
	return idle
}

// idle lists when nothing worked, in ms since the fleet's start.
func (w *watch) idle(start int64) []Stretch {
	all := []Stretch{}
	for i, busy := range w.busy {
		from := start + int64(i)*1000
		switch n := len(all); {
		case busy:
		case n > 0 && all[n-1].To == from:
			all[n-1].To += 1000
		default:
			all = append(all, Stretch{from, from + 1000})
		}
	}
	return all
}

// An instant is a second of the watch and a millisecond of it.
type instant struct{ second, ms int64 }

// before sums what was measured and worked up to an instant.
func (w *watch) before(t instant) (measured, worked int64) {
	measured, worked = w.measured[t.second], w.worked[t.second]
	if t.ms > 0 {
		measured += w.seconds[t.second].measured * t.ms
		worked += w.seconds[t.second].worked * t.ms
	}
	return measured, worked
}

// workedSince is the work from the instant at which so much had been measured to
// t, rounded down. Of several such instants it is the last, so that the stretch
// is the shortest.
func (w *watch) workedSince(measured int64, t instant) int64 {
	_, all := w.before(t)
	lo, hi := int64(0), t.second // the last second that begins with no more than measured
	for lo < hi {
		if mid := (lo + hi + 1) / 2; w.measured[mid] <= measured {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	then := w.worked[lo]
	if s := w.seconds[min(lo, int64(len(w.seconds))-1)]; s.measured > 0 {
		then += (measured - w.measured[lo]) * s.worked / s.measured
	}
	return all - then
}

// idleFor tells whether the trailing span of measured time at t was idle; false
// while less is known, or where idleness of a finding that is over would count
// again.
func (w *watch) idleFor(span int64, t instant) bool {
	span *= 1000 * w.places
	measured, _ := w.before(t)
	return measured >= w.floor+span && w.workedSince(measured-span, t) < span/activePart
}

// atWork tells whether a second was no idle one.
func (s second) atWork() bool { return s.worked > 0 && s.worked*activePart >= s.measured }

// idleSince is how much had been measured when the idleness began that opens at t:
// the trailing span that opens it, without the work that it begins with.
func (w *watch) idleSince(t instant) int64 {
	measured, _ := w.before(t)
	span := int64(noticeAfter)
	if !w.idleFor(span, t) {
		span = alertAfter
	}
	from := measured - span*1000*w.places
	for i := int64(0); i < t.second; i++ {
		if w.measured[i+1] > from && w.seconds[i].measured > 0 {
			if !w.seconds[i].atWork() {
				break
			}
			from = w.measured[i+1]
		}
	}
	return from
}

// over tells whether the work since idleness began, or in the trailing alert
// span, would have kept the alert away.
func (w *watch) over(since int64, t instant) bool {
	span := int64(alertAfter) * 1000 * w.places
	measured, _ := w.before(t)
	return w.workedSince(max(since, measured-span), t) >= span/activePart
}

// findings applies the rule. end is the allocation's, nil while it goes on.
func (w *watch) findings(start int64, end *int64) []Expected {
	w.measured, w.worked = make([]int64, len(w.seconds)+1), make([]int64, len(w.seconds)+1)
	for i, s := range w.seconds {
		w.measured[i+1] = w.measured[i] + s.measured*1000
		w.worked[i+1] = w.worked[i] + s.worked*1000
	}
	all := []Expected{}
	var open *Expected
	var since int64
	for i := range w.seconds {
		first := func(holds func(instant) bool) (instant, bool) { return firstIn(int64(i), holds) }
		if open == nil {
			t, ok := first(func(t instant) bool { return w.idleFor(noticeAfter, t) || w.idleFor(alertAfter, t) })
			if !ok {
				continue
			}
			all = append(all, Expected{OpenedAt: t.on(start)})
			open, since = &all[len(all)-1], w.idleSince(t)
		}
		if open.ThresholdAt == nil {
			if t, ok := first(func(t instant) bool { return w.idleFor(alertAfter, t) }); ok {
				at := max(t.on(start), open.OpenedAt)
				open.ThresholdAt = &at
			}
		}
		if t, ok := first(func(t instant) bool { return t.on(start) >= open.OpenedAt && w.over(since, t) }); ok {
			at := t.on(start)
			open.ResolvedAt, open = &at, nil
			first := i // second of the work that did it
			for first > 0 && w.seconds[first-1].atWork() {
				first--
			}
			w.floor = w.measured[first]
		}
	}
	if open != nil {
		open.ResolvedAt = end
	}
	return all
}

// on is the instant in ms since the fleet's start.
func (t instant) on(start int64) int64 { return start + t.second*1000 + t.ms }

// firstIn is the first millisecond of a second, beyond its first instant, at
// which something holds, if it holds at the second's end.
func firstIn(second int64, holds func(instant) bool) (instant, bool) {
	if !holds(instant{second + 1, 0}) {
		return instant{}, false
	}
	for ms := int64(1); ms < 1000; ms++ {
		if t := (instant{second, ms}); holds(t) {
			return t, true
		}
	}
	return instant{second + 1, 0}, true
}
