package fleet

// A Class is a kind of workload: what its script looks like.
type Class string

// Classes.
const (
	Training     Class = "training"      // works from start to end, with the noise of steps
	Checkpoint   Class = "checkpoint"    // training with pauses of minutes: checkpoints, validation on the host
	Stalled      Class = "stalled"       // training whose data loader dies: memory held, nothing done
	Finished     Class = "finished"      // the work is done and the GPUs are not given back
	Partial      Class = "partial"       // works on one of the GPUs that it holds
	MemoryBound  Class = "memory_bound"  // bound by device memory: hardly a multiprocessor is busy
	Sweep        Class = "sweep"         // one of many short runs with one fingerprint
	Duplicate    Class = "duplicate"     // training with the fingerprint of a twin
	Notebook     Class = "notebook"      // bursts of work, long thoughts between
	KeepAlive    Class = "keep_alive"    // does a little now and then so that nobody takes its GPUs
	Inference    Class = "inference"     // follows the day
	LowInference Class = "low_inference" // little load, but steady
)

// A script says when a job of a class works.
type script struct {
	phases []phase
	length int64
	freed  bool
	failed bool // it does not end well
}

// work appends a stretch of work, pause of none.
func (s *script) work(ms int64)  { s.part(ms, 0) }
func (s *script) pause(ms int64) { s.length += ms }
func (s *script) part(ms int64, n int) {
	s.phases = append(s.phases, phase{s.length, s.length + ms, n})
	s.length += ms
}

// write draws a script. interval, in ms, is what sensors can tell apart.
func (c Class) write(d dice, interval int64) script {
	var s script
	switch c {
	case Checkpoint:
		s.checkpoint(d)
	case Stalled:
		s.stalled(d)
	case Finished:
		s.work(d.minutes(10, 180))
		s.pause(d.minutes(40, 420))
		s.freed = d.one(3)
	case Partial:
		s.part(d.minutes(60, 480), 1)
	case Sweep:
		s.work(d.minutes(4, 15))
	case Notebook:
		s.notebook(d)
	case KeepAlive:
		s.keepAlive(d, interval)
	case Inference, LowInference:
		s.work(d.minutes(240, 1800))
	default:
		s.work(d.minutes(60, 720))
	}
	return s
}

func (s *script) checkpoint(d dice) {
	for range 3 + d.IntN(10) {
		s.work(d.minutes(15, 50))
		if d.one(5) { // a validation
			s.pause(d.minutes(8, 24))
		} else {
			s.pause(d.seconds(20, 540))
		}
	}
	s.work(d.minutes(5, 20))
}

func (s *script) stalled(d dice) {
	s.work(d.minutes(5, 180))
	s.pause(d.minutes(45, 240))
	if d.one(3) { // somebody looked
		s.work(d.minutes(30, 120))
		return
	}
	s.failed = true
}

// notebook pauses clearly less or clearly more than what makes an alert.
func (s *script) notebook(d dice) {
	for range 3 + d.IntN(8) {
		s.work(d.seconds(60, 900))
		if d.one(3) {
			s.pause(d.minutes(35, 150))
		} else {
			s.pause(d.minutes(1, 25))
		}
	}
}

// keepAlive works for a while, then for 30 seconds at most of each half-hour, on
// the grid of the samples.
func (s *script) keepAlive(d dice, interval int64) {
	grid := func(ms int64) int64 { return (ms + interval - 1) / interval * interval }
	if !d.one(3) {
		s.work(grid(d.minutes(5, 60)))
	}
	blip := max(interval, 2000)
	every := grid(60*blip + d.seconds(blip/1000, blip*60/1000))
	for range (d.minutes(60, 360) / every) + 2 {
		s.pause(every - blip)
		s.work(blip)
	}
	s.pause(every - blip)
}

// look is how work and rest of a class look to sensors.
func (c Class) look(d dice) (work, rest load) {
	switch c {
	case MemoryBound:
		work = load{util: 0.98, sm: 0.12, tensor: 0.01, dram: 0.86, power: 0.6, noise: 0.04}
		if d.one(3) { // copies: nothing but power shows it
			work = load{util: 0.004, sm: 0.003, dram: 0.7, power: 0.55, noise: 0.05}
		}
	case Notebook:
		work = load{util: 0.55, sm: 0.35, tensor: 0.12, dram: 0.25, power: 0.5, noise: 0.6}
	case KeepAlive:
		work = load{util: 0.35, sm: 0.08, tensor: 0.02, dram: 0.05, power: 0.3, noise: 0.3}
	case Inference:
		work = load{util: 0.5, sm: 0.33, tensor: 0.2, dram: 0.4, power: 0.55, noise: 0.15, swing: 0.7}
	case LowInference:
		work = load{util: 0.03, sm: 0.025, tensor: 0.012, dram: 0.03, power: 0.28, noise: 0.4}
	default:
		work = load{util: 0.97, sm: 0.76, tensor: 0.46, dram: 0.48, power: 0.86, noise: 0.05, steps: 11 + d.IntN(30)}
	}
	if d.one(3) { // a monitor, a keep-alive of the framework: less than counts as work
		rest = load{util: 0.004, sm: 0.0006, noise: 0.9}
	}
	return work, rest
}

// phaseLabel is the class as an owner would label it.
func (c Class) phaseLabel() string {
	switch c {
	case Notebook, KeepAlive:
		return "interactive"
	case Inference, LowInference:
		return "inference"
	default:
		return "train"
	}
}
