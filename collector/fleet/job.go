package fleet

// A job is one allocation and its script. Times are in ms; start and end count
// from the fleet's start, phases from the job's.
type job struct {
	id     string // of its events
	number string // slot-run: the same in every run of the seed
	class  Class
	seats  []seat
	who    identity
	asked  request

	start, end int64
	update     int64   // when its labels change, 0 = never
	state      string  // how it ends
	phases     []phase // when it works, in order, disjoint
	work, rest load
	memory     uint64 // bytes of a GPU or slice that it holds
	freed      bool   // it gives memory back when its last phase ends

	cursor int // first phase that readings still need
}

// A phase is a stretch of work. Between phases the job only holds its GPUs.
type phase struct {
	from, to int64
	gpus     int // how many of its GPUs work, the first ones; 0 = all
}

// A request is what the job asked its scheduler for.
type request struct {
	walltime  int64 // seconds
	submitted int64 // ms since the fleet's start
}

// lookback is how far back readings of different nodes may ask: less than three
// intervals and a node's offset.
const lookback = 60_000

// busy is how many of the milliseconds [from, to) the n-th GPU of the job works.
// It must not be asked for time further back than lookback.
func (j *job) busy(from, to int64, n int) (ms int64) {
	from, to = from-j.start, to-j.start
	for j.cursor < len(j.phases) && j.phases[j.cursor].to < from-lookback {
		j.cursor++
	}
	for _, p := range j.phases[j.cursor:] {
		if p.from >= to {
			break
		}
		if p.gpus == 0 || n < p.gpus {
			ms += max(0, min(to, p.to)-max(from, p.from))
		}
	}
	return ms
}

// memoryAt is what the job holds of each GPU at t.
func (j *job) memoryAt(t int64) uint64 {
	if j.freed && len(j.phases) > 0 && t-j.start > j.phases[len(j.phases)-1].to {
		return 600 * mib // the context of a process that lives
	}
	return j.memory
}

// skip cuts the first ms off the script: the job is found in the midst of it.
func (j *job) skip(ms int64) {
	kept := j.phases[:0]
	for _, p := range j.phases {
		if p.to > ms {
			kept = append(kept, phase{max(0, p.from-ms), p.to - ms, p.gpus})
		}
	}
	j.phases = kept
	j.end -= ms
	j.update = max(0, j.update-ms)
}
