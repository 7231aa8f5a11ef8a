package meter

// A mark is a tick together with where every input ended when the tick had been
// seen. All that was appended before the tick lies below these ends.
type mark struct {
	tick
	samples []int64 // by partition
	refs    Refs    // of the reference topics but ticks
}

// A clock says how far an engine may go. It reads no clock: ticks carry the
// broker's append time.
//
// A tick that names no horizon stands for its append time, and a partition may
// go there once it has read every input to the ends listed after the tick. Until
// then it goes to the append time of what it has read: catching up closes no
// window of which samples are still to be read. A tick that names a horizon (or
// ends a replay) is a barrier: it counts once every input is read to those ends,
// and not a moment earlier.
//
// The pulse before the newest counts too: a turn that takes longer than a second
// sees a newer tick in every turn, and would never have read to its ends.
type clock struct {
	pulse, before mark
	named         []mark
}

// news reports whether the view has ticks that the clock has not seen.
func (c *clock) news(v *view) bool {
	return v.pulse.offset > c.pulse.offset || len(c.unseen(v)) > 0
}

// unseen are the ticks of the view that name a horizon and that the clock has not
// seen. A log that was opened anew may have some that it has.
func (c *clock) unseen(v *view) []tick {
	last := int64(-1)
	if n := len(c.named); n > 0 {
		last = c.named[n-1].offset
	}
	return v.named[v.namedFrom(last+1):]
}

// mark takes in the ticks of the view; the ends were listed after the view was
// taken.
func (c *clock) mark(v *view, samples []int64, refs Refs) {
	if v.pulse.offset > c.pulse.offset {
		c.before = c.pulse
		c.pulse = mark{tick: v.pulse, samples: samples, refs: refs}
	}
	for _, t := range c.unseen(v) {
		c.named = append(c.named, mark{tick: t, samples: samples, refs: refs})
	}
}

// A reader is how far one partition has read its inputs.
type reader struct {
	partition int32
	next      int64 // offset of the next samples record
	time      int64 // append time of the last one, Unix ms, 0 = none
	refs      Refs
	refTimes  [refCount]int64
}

// advance moves p's horizon as far as r allows, and never back.
func (c *clock) advance(p *Position, r *reader) {
	for _, m := range [2]*mark{&c.before, &c.pulse} {
		if m.time != 0 {
			p.moveTo(m.reach(r), false)
		}
	}
	for i := range c.named {
		m := &c.named[i]
		if m.offset < p.Applied {
			continue
		}
		if !m.passed(r) {
			return
		}
		horizon := m.horizon
		if horizon == 0 {
			horizon = m.time
		}
		p.moveTo(horizon, m.final)
		p.Applied = m.offset + 1
	}
}

// moveTo sets the horizon unless that would move it back. A horizon that was
// final stays final until it moves on.
func (p *Position) moveTo(horizon int64, final bool) {
	switch {
	case horizon > p.Horizon:
		p.Horizon, p.Final = horizon, final
	case horizon == p.Horizon:
		p.Final = p.Final || final
	}
}

// passed reports whether r has read every input to the ends of the mark.
func (m *mark) passed(r *reader) bool {
	if r.next < m.samples[r.partition] {
		return false
	}
	for i := range refTicks {
		if r.refs[i] < m.refs[i] {
			return false
		}
	}
	return true
}

// reach is the instant up to which r has read every input, at most the tick's.
func (m *mark) reach(r *reader) int64 {
	reach := m.time
	if r.next < m.samples[r.partition] {
		reach = min(reach, r.time)
	}
	for i := range refTicks {
		if r.refs[i] < m.refs[i] {
			reach = min(reach, r.refTimes[i])
		}
	}
	return reach
}
