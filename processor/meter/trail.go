package meter

// A trail says from which record on samples are as new as some instant, without a
// word for each record: a step stands for some hundred of them, and for more where
// they become too many.
type trail struct {
	steps  []step
	length int   // records of a step
	window int64 // when it was last shortened
}

// A step is records of one partition, one behind the other.
type step struct {
	offset  int64 // of the first
	newest  int64 // ts among their samples
	records int
}

const (
	firstLength = 128
	maxSteps    = 4096
)

// note appends a record.
func (t *trail) note(offset, newest int64) {
	if n := len(t.steps); n > 0 && t.steps[n-1].records < t.length {
		last := &t.steps[n-1]
		last.newest, last.records = max(last.newest, newest), last.records+1
		return
	}
	if len(t.steps) == maxSteps {
		t.halve()
	}
	t.length = max(t.length, firstLength)
	t.steps = append(t.steps, step{offset, newest, 1})
}

// halve joins neighbours.
func (t *trail) halve() {
	for i := range len(t.steps) / 2 {
		a, b := t.steps[2*i], t.steps[2*i+1]
		t.steps[i] = step{a.offset, max(a.newest, b.newest), a.records + b.records}
	}
	t.steps = t.steps[:len(t.steps)/2]
	t.length *= 2
}

// forget drops the records before the first that has a sample from oldest on.
func (t *trail) forget(oldest int64) {
	n := 0
	for n < len(t.steps) && t.steps[n].newest < oldest {
		n++
	}
	t.steps = append(t.steps[:0], t.steps[n:]...)
}

// begin is the offset of the first record, next if there is none.
func (t *trail) begin(next int64) int64 {
	if len(t.steps) == 0 {
		return next
	}
	return t.steps[0].offset
}
