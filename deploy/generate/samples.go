package generate

import "strconv"

// A source is one series of samples: what the GPU does, and what is told of it.
type source struct {
	place
	slice  string
	quiet  int64 // ms: nothing is told until then
	busy   bool
	energy int64 // J
}

// writeSamples goes through time and asks every GPU and slice.
func (o *Options) writeSamples(out *writer) {
	d := newDice(o, 6)
	var sources []*source
	for _, p := range o.places() {
		for _, slice := range append([]string{""}, p.slices...) {
			sources = append(sources, &source{place: p, slice: slice, busy: d.IntN(2) == 0, energy: d.Int64N(1 << 30)})
		}
	}
	for t := o.Start; t <= o.Start+o.Duration; t += o.Interval {
		for _, s := range sources {
			o.writeSample(d, out, s, t)
		}
		o.writeOddSamples(d, out, t)
	}
}

func (o *Options) writeOddSamples(d dice, out *writer, t int64) {
	if d.chance(Orphans, 1) {
		out.line(d, (&line{}).number("ts", t).text("node", "n0").text("gpu", "GPU-none").raw("utilization", "1").end())
	}
	if d.chance(BadLines, 5) {
		out.line(d, []byte(pick(d,
			`{"ts":1780275600000,"node":"n0","gpu":"GPU-0-0","utilization":1.01}`, `{"ts":4102444800000,"node":"n0","gpu":"GPU-0-0","utilization":1}`,
			`{"ts":86400000,"node":"n0","gpu":"GPU-0-0","utilization":1}`, `{"ts":1780275600000,"node":"n0","gpu":`, `{"ts":"yesterday","node":"n0","gpu":"GPU-0-0"}`,
			`{"ts":1780275600000,"node":"n0","gpu":"GPU-0-0","power_watts":"many"}`)+"\n"))
	}
}

func (o *Options) writeSample(d dice, out *writer, s *source, t int64) {
	if d.IntN(60) == 0 {
		s.busy = !s.busy
	}
	if d.chance(Gaps, 2) {
		s.quiet = t + d.between(o.Interval, 10*o.Interval)
	}
	s.energy += d.Int64N(5000)
	if d.chance(Gaps, 1) {
		s.energy = 0 // the driver was loaded anew
	}
	if t < s.quiet {
		return
	}
	if d.chance(Missing, 30) {
		t += d.Int64N(o.Interval)
	}
	out.line(d, o.sample(d, s, t))
	if d.chance(Repeats, 2) {
		out.line(d, o.sample(d, s, t))
	}
}

// sample writes one reading of s.
func (o *Options) sample(d dice, s *source, t int64) []byte {
	l := (&line{b: make([]byte, 0, 256)}).time(d, "ts", t).text("node", s.node).text("gpu", s.gpu)
	if s.slice != "" {
		l.text("slice", s.slice)
	}
	switch {
	case d.chance(Missing, 5):
		l.raw("interval_seconds", pick(d, "0", "0.0005", "2.0005", "60", "null"))
	case o.Interval != 10*second || d.IntN(2) == 0:
		l.raw("interval_seconds", strconv.FormatFloat(float64(o.Interval)/second, 'f', 3, 64))
	}
	activity := pick(d, "0", "0.005", "0.01", "0.0100004", "0.0")
	if s.busy {
		activity = pick(d, "0.0100005", "1", decimal(d.Int64N(1_000_001)), decimal(d.Int64N(1_000_001)))
	}
	told := func() bool { return !d.chance(Missing, 25) }
	if told() {
		l.raw("utilization", activity)
	}
	if told() && d.IntN(2) == 0 {
		l.raw("sm_active", decimal(d.Int64N(20_000)))
	}
	if !told() {
		l.raw("tensor_active", activity).raw("dram_active", "0.5")
	}
	if told() {
		l.raw("memory_used_bytes", pick(d, "0", "1073741823", "1073741824", "42949672960"))
	}
	if told() {
		l.raw("power_watts", pick(d, "59.9994", "60", "60.0005", "75.5", "412.25"))
	}
	if told() {
		l.number("energy_joules", s.energy)
	}
	return l.end()
}
