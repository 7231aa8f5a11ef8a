package nvml

// A question is what a worker is asked in a round.
type question struct {
	ts        int64
	processes bool
}

// An answer to it, of worker number index.
type answer struct {
	index    int
	ts       int64
	readings []reading
	err      error
}

// A worker asks one GPU, one question at a time. Its fields but gpu and asks
// are of the loop that asks.
type worker struct {
	gpu       gpu
	series    series
	asks      chan question // holds one: the worker is idle when it is asked
	busy      bool
	condition condition
	processes map[string]listing // newest of each slice, for rounds without answer
}

// A listing is the processes on a device or slice, and what that is of the
// device.
type listing struct {
	share     int32
	processes []process
}

// serve answers until asks is closed. answers holds one of each worker, so that
// it never blocks.
func (w *worker) serve(index int, answers chan<- answer) {
	for q := range w.asks {
		readings, err := w.gpu.read(q.processes)
		answers <- answer{index, q.ts, readings, err}
	}
}
