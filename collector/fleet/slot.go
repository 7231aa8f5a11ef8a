package fleet

import "fmt"

// A slot is what is handed out as one: some GPUs, or a part of one. It has job
// after job, with gaps between.
type slot struct {
	index int
	kind  slotKind
	seats []seat
	base  int64 // jobs begin whole seconds after it
	dice  dice
	runs  int      // jobs so far
	queue []*draft // of a sweep that goes on
	job   *job     // that runs or is next
	since bool     // job has started
	next  int64    // instant of the slot's next event
}

// A slotKind says which jobs a slot gets.
type slotKind uint8

const (
	large    slotKind = iota // whole GPUs, several
	small                    // one whole GPU
	shared                   // one GPU with others
	instance                 // a MIG instance
)

// A draft is a job without its time.
type draft struct {
	class Class
	who   identity
}

// A weight is how often a class comes.
type weight struct {
	class Class
	of    int
}

func (k slotKind) weights() []weight {
	switch k {
	case large:
		return []weight{{Training, 25}, {Checkpoint, 22}, {Stalled, 16}, {Finished, 10}, {MemoryBound, 8}, {Partial, 5}, {Sweep, 6}, {Duplicate, 8}}
	case small:
		return []weight{{Training, 9}, {Checkpoint, 8}, {Stalled, 7}, {Finished, 8}, {MemoryBound, 6}, {Sweep, 8}, {Duplicate, 6}, {Notebook, 18}, {KeepAlive, 12}, {Inference, 9}, {LowInference, 9}}
	case shared:
		return []weight{{Notebook, 60}, {Finished, 20}, {LowInference, 8}, {Inference, 12}}
	default:
		return []weight{{Notebook, 35}, {KeepAlive, 15}, {Finished, 15}, {LowInference, 20}, {Inference, 15}}
	}
}

func (k slotKind) draw(d dice) Class {
	total := 0
	for _, w := range k.weights() {
		total += w.of
	}
	at := d.IntN(total)
	for _, w := range k.weights() {
		if at -= w.of; at < 0 {
			return w.class
		}
	}
	return Training
}

func (f *Fleet) addSlot(kind slotKind, seats []seat) {
	s := &slot{
		index: len(f.slots), kind: kind, seats: seats, base: seats[0].gpu.node.grid,
		dice: roll(f.cfg.Seed, drawSlot, uint64(len(f.slots))),
	}
	f.slots = append(f.slots, s)
	f.plan(s, s.base)
}

// plan draws the next job of a slot, which is free from t on.
func (f *Fleet) plan(s *slot, t int64) {
	if len(s.queue) == 0 {
		f.queueUp(s, t)
	}
	what := s.queue[0]
	s.queue = s.queue[1:]
	d := s.dice
	j := &job{class: what.class, seats: s.seats, who: what.who, state: "completed"}
	j.start = t + s.gap(what.class)
	if s.kind == shared || what.class == KeepAlive {
		j.start = f.align(j.start, s.base)
	}
	text := what.class.write(d, f.interval)
	j.phases, j.freed = text.phases, text.freed
	if s.kind == shared {
		text.length = f.align(text.length, 0)
	}
	j.end = j.start + text.length
	if text.failed {
		j.state = pick(d, []string{"failed", "cancelled"})
	}
	j.work, j.rest = what.class.look(d)
	j.memory = s.memory(d)
	j.asked = request{walltime: (text.length/1000 + 3599) / 3600 * 3600, submitted: j.start - d.seconds(1, 1800)}
	if what.class == Checkpoint {
		j.update = text.length / 2
	}
	if s.runs == 0 {
		j.skip(d.Int64N(text.length*9/10) / f.interval * f.interval)
	}
	f.settle(j)
	j.number = fmt.Sprintf("%d-%d", s.index, s.runs)
	j.id = f.prefix + j.number
	s.runs++
	s.job, s.since, s.next = j, false, j.start
}

// align is the first instant from t on that is on the grid of samples that holds
// base.
func (f *Fleet) align(t, base int64) int64 { return base + (t-base+f.interval-1)/f.interval*f.interval }

// gap is how long the slot stays empty before its next job.
func (s *slot) gap(c Class) int64 {
	switch {
	case s.runs == 0:
		return s.dice.seconds(0, 45)
	case c == Sweep && len(s.queue) > 0:
		return s.dice.seconds(5, 40)
	case s.dice.one(3):
		return s.dice.minutes(3, 50)
	default:
		return s.dice.seconds(15, 180)
	}
}

// memory is what a job of the slot holds of each of its GPUs: more than what
// counts as held, and room for others where a GPU is shared.
func (s *slot) memory(d dice) uint64 {
	percent := uint64(30 + d.IntN(60))
	total := s.seats[0].gpu.node.offer.gpu.memory
	switch {
	case s.seats[0].slice != nil:
		total = s.seats[0].slice.memory
	case s.kind == shared:
		total /= 4
	}
	return max(2*gib, total/100*percent)
}

// queueUp drafts what comes next: a job, or the runs of a sweep.
func (f *Fleet) queueUp(s *slot, t int64) {
	c := s.kind.draw(s.dice)
	switch c {
	case Duplicate:
		// Who draws a duplicate of one shape in one quarter of a day draws the same.
		twin := roll(f.cfg.Seed, drawTwin, uint64(len(s.seats)), uint64(t/(day/4)))
		s.queue = append(s.queue, &draft{c, identify(twin, c, len(s.seats))})
	case Sweep:
		who := identify(s.dice, c, len(s.seats))
		for k := range 5 + s.dice.IntN(10) {
			s.queue = append(s.queue, &draft{c, who.next(k)})
		}
	default:
		s.queue = append(s.queue, &draft{c, identify(s.dice, c, len(s.seats))})
	}
}
