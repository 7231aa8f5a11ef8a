package engine

// An event is an allocation event that the horizon has not passed.
type event struct {
	ts    int64
	alloc *allocation
}

// events is a heap, the earliest first.
type events []event

func (h *events) push(ev event) {
	q := append(*h, ev)
	i := len(q) - 1
	for i > 0 && q[(i-1)/2].ts > q[i].ts {
		q[i], q[(i-1)/2] = q[(i-1)/2], q[i]
		i = (i - 1) / 2
	}
	*h = q
}

// pop removes the earliest.
func (h *events) pop() event {
	q := *h
	first, n := q[0], len(q)-1
	q[0] = q[n]
	q[n] = event{}
	q = q[:n]
	for i := 0; ; {
		least := i
		for k := 2*i + 1; k <= 2*i+2 && k < n; k++ {
			if q[k].ts < q[least].ts {
				least = k
			}
		}
		if least == i {
			break
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
	*h = q
	return first
}
