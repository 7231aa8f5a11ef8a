package fleet

import (
	"encoding/json"
	"io"
	"math/bits"
	"slices"
	"strings"
)

// A Truth is what is true of one allocation. Times are in ms since the fleet's
// start.
type Truth struct {
	ID         string     `json:"-"`          // of its events
	Allocation string     `json:"allocation"` // the end of ID, the same in every run of the seed
	Class      Class      `json:"class"`
	User       string     `json:"user"`
	Team       string     `json:"team"`
	GPUs       []string   `json:"gpus"` // node/index, or node/index/instance
	Start      int64      `json:"start_ms"`
	End        *int64     `json:"end_ms"`            // null: it goes on
	Idle       []Stretch  `json:"idle"`              // when none of its GPUs worked, whether or not it was measured
	Unknown    []Unknown  `json:"unknown,omitempty"` // what nothing was measured of
	Findings   []Expected `json:"findings"`
	IdleGPUMs  int64      `json:"idle_gpu_ms"` // measured time without work of its GPUs, by their shares
	IdleCost   int64      `json:"idle_cost_nano_usd"`
}

// A Stretch is [from, to).
type Stretch struct {
	From int64 `json:"from_ms"`
	To   int64 `json:"to_ms"`
}

// An Unknown is a stretch of which nothing is measured of one GPU.
type Unknown struct {
	GPU string `json:"gpu"`
	Stretch
}

// An Expected is a finding that a detector should make: when its idleness was a
// notice, an alert, and over.
type Expected struct {
	OpenedAt    int64  `json:"opened_at_ms"`
	ThresholdAt *int64 `json:"threshold_at_ms"` // null: it was never an alert
	ResolvedAt  *int64 `json:"resolved_at_ms"`  // null: it goes on
}

// Ended gives the truth of the allocations that ended in the steps since the last
// call, in the order in which they ended.
func (f *Fleet) Ended() []Truth {
	ended := f.ended
	f.ended = nil
	return ended
}

// Open gives the truth, up to where the last step went, of the allocations that
// run, in the order of their slots.
func (f *Fleet) Open() []Truth {
	var open []Truth
	for _, s := range f.slots {
		if s.since && s.job.start < f.until {
			open = append(open, f.truth(s.job, f.until))
		}
	}
	return open
}

// truth tells what is true of a job up to until.
func (f *Fleet) truth(j *job, until int64) Truth {
	t := Truth{
		ID: j.id, Allocation: j.number, Class: j.class, User: j.who.user, Team: j.who.namespace,
		Start: j.start, Idle: []Stretch{}, Findings: []Expected{},
	}
	if until == j.end {
		t.End = &j.end
	}
	w := newWatch(len(j.seats), int(until-j.start)/1000)
	for n, s := range j.seats {
		t.GPUs = append(t.GPUs, s.label())
		unknown := f.unknown(j, s.gpu, until)
		for _, u := range unknown {
			t.Unknown = append(t.Unknown, Unknown{s.label(), Stretch{j.start + u.From, j.start + u.To}})
		}
		share := int64(0) // GPU-ms in millionths
		for i, ms := range w.add(f.working(j, s, n, len(w.seconds)), unknown) {
			share += ms * f.share(j, s, j.start+int64(i)*1000)
		}
		idle := share / 1_000_000
		t.IdleGPUMs += idle
		t.IdleCost += scale(idle, s.gpu.node.offer.perHour, perNode*3_600_000)
	}
	slices.SortStableFunc(t.Unknown, func(a, b Unknown) int { return strings.Compare(a.GPU, b.GPU) })
	t.Idle = w.idle(j.start)
	t.Findings = w.findings(j.start, t.End)
	return t
}

// share is what the job has of a GPU at t, in millionths (rule 5: who gives no
// share has an equal one).
func (f *Fleet) share(j *job, s seat, t int64) int64 {
	if s.share > 0 {
		return int64(s.share)
	}
	holders := int64(0)
	for _, k := range f.neighbours(j, s) {
		if k.start <= t && t < k.end {
			holders++
		}
	}
	return 1_000_000 / holders
}

// scale is a·b/c without overflow on the way.
func scale(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}

// working tells for each second since j began whether a GPU of it works: j
// itself, or whoever shares the GPU.
func (f *Fleet) working(j *job, s seat, n, seconds int) []bool {
	busy := make([]bool, seconds)
	for _, k := range f.neighbours(j, s) {
		at := n
		if k != j {
			at = 0 // who shares a GPU has no other
		}
		for _, p := range k.phases {
			if p.gpus != 0 && at >= p.gpus {
				continue
			}
			for i := max(0, k.start+p.from-j.start) / 1000; i < min(int64(seconds), (k.start+p.to-j.start)/1000); i++ {
				busy[i] = true
			}
		}
	}
	return busy
}

// unknown lists the stretches of j's time, from its start and up to until, of
// which nothing is measured of one of its GPUs: rule 2 for the faults of the node.
// Where no sample follows in j's time, the one before speaks forward as soon as j
// is over, but not while it runs: for a detector that is unknown.
func (f *Fleet) unknown(j *job, g *gpu, until int64) []Stretch {
	var all []Stretch
	for _, x := range f.faultsUntil(g.node, until) {
		if x.gpu != everyGPU && x.gpu != g.index {
			continue
		}
		// The samples around the fault: one at x.from, the next at x.to+reach.
		u := Stretch{max(j.start, x.from), min(until, x.to)}
		if x.to+f.reach() >= until {
			u.To = until
		}
		// Within an interval of its end a job misses no sample: that is the tail of
		// any job, not the fault's.
		if hidden := u.To < until || until-u.From > f.interval; hidden && u.From < u.To {
			all = append(all, Stretch{u.From - j.start, u.To - j.start})
		}
	}
	return all
}

// A Header is the first line of a file of truth: what has to be the same for the
// rest to be the same.
type Header struct {
	Seed       uint64 `json:"seed"`
	GPUs       int    `json:"gpus"`
	IntervalMs int64  `json:"interval_ms"`
}

// A Recorder writes the truth as NDJSON.
type Recorder struct{ lines *json.Encoder }

// Record begins a file of truth with its header.
func (f *Fleet) Record(w io.Writer) (Recorder, error) {
	r := Recorder{json.NewEncoder(w)}
	return r, r.lines.Encode(struct {
		Fleet Header `json:"fleet"`
	}{Header{f.cfg.Seed, f.cfg.GPUs, f.interval}})
}

// Write appends one line for each allocation.
func (r Recorder) Write(all []Truth) error {
	for i := range all {
		if err := r.lines.Encode(&all[i]); err != nil {
			return err
		}
	}
	return nil
}
