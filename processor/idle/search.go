package idle

// A window ends at the instant in question and holds length of measured time: it
// begins where that much is left to the right, between two milliseconds if need
// be, and as late as possible.
type window struct {
	length int64 // ms
	limit  int64 // active time to compare with, ppm·ms
	floor  int64 // measured sum before which no window begins
}

// stride bounds how many instants are looked at in one step, so that products of
// shares and spans fit 64 bits.
const stride = 1_000_000

// falls finds the first instant in (t, end] at which the window has less active
// time than its limit. A window that would begin before the floor says nothing.
func (l line) falls(w *window, t, end int64) (int64, bool) {
	for i := l.at(t); t < end; {
		for l[i].to <= t {
			i++
		}
		head := &l[i]
		n := min(end, head.to, t+stride) - t
		mark := head.measuredAt(t+1) - w.length*whole
		if mark < w.floor {
			if head.m > 0 {
				n = min(n, ceil(w.floor-mark, head.m))
			}
			t += n
			continue
		}
		s := l.slope(w, head, t, mark)
		n = min(n, s.steps)
		if k, ok := s.negative(); ok && k < n {
			return t + 1 + k, true
		}
		t += n
	}
	return 0, false
}

// rises finds the first instant in (t, end] at which the window has as much
// active time as its limit. A window that would begin before the floor begins
// there.
func (l line) rises(w *window, t, end int64) (int64, bool) {
	for i := l.at(t); t < end; {
		for l[i].to <= t {
			i++
		}
		head := &l[i]
		n := min(end, head.to, t+stride) - t
		mark := head.measuredAt(t+1) - w.length*whole
		var s slope
		if mark < w.floor {
			s = slope{value: head.activeAt(t+1) - l.activeFrom(w.floor) - w.limit, rise: head.a, steps: n}
			if head.m > 0 {
				s.steps = ceil(w.floor-mark, head.m)
			}
		} else {
			s = l.slope(w, head, t, mark)
		}
		n = min(n, s.steps)
		if k, ok := s.positive(); ok && k < n {
			return t + 1 + k, true
		}
		t += n
	}
	return 0, false
}

// A slope is active time above the limit at some instants in a row, up to a
// positive factor: value at the first of them, rise from one to the next.
type slope struct{ value, rise, steps int64 }

// slope begins at t+1, where the measured sum of the window's begin is mark.
//
// With x instants gone, the window's begin lies mark + m·x into its piece, so that
// the active time is A + a·x − a'·(rest + m·x)/m', which is linear; m' is the factor.
func (l line) slope(w *window, head *piece, t, mark int64) slope {
	tail := &l[l.tail(mark)]
	s := slope{steps: stride}
	if head.m > 0 {
		s.steps = (tail.measuredEnd()-1-mark)/head.m + 1
	}
	into := mark - tail.measured
	above := head.activeAt(t+1) - tail.active - tail.a*(into/tail.m) - w.limit
	if far := int64(2 * stride * whole); above > far || above < -far {
		// Nothing that happens in a stride changes the sign.
		return slope{value: above, steps: min(s.steps, stride)}
	}
	s.value = above*tail.m - tail.a*(into%tail.m)
	s.rise = head.a*tail.m - tail.a*head.m
	return s
}

// negative is after how many instants the value is below zero.
func (s *slope) negative() (int64, bool) {
	switch {
	case s.value < 0:
		return 0, true
	case s.rise < 0:
		return s.value/-s.rise + 1, true
	}
	return 0, false
}

// positive is after how many instants the value is zero or more.
func (s *slope) positive() (int64, bool) {
	switch {
	case s.value >= 0:
		return 0, true
	case s.rise > 0:
		return ceil(-s.value, s.rise), true
	}
	return 0, false
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }
