package idle

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// The oracle knows every millisecond of a short world and decides one after the
// other, as the rule reads. It shares the detector's units and nothing else.
type oracle struct {
	cfg     Config
	parts   map[string]*oraclePart
	marks   map[uint32]int64
	width   uint32
	newest  int64
	base    int64 // nothing is known before
	folded  int64
	waiting bool // for a watermark
	finding schemas.Finding
	since   int64
	cleared int64          // when the last finding was resolved
	gone    [worldMs]int64 // idle cost of GPUs that are forgotten
}

type oraclePart struct {
	ms              [worldMs]oracleMS
	end, step       int64
	engine          uint32
	released, first int64
	left            uint32
}

type oracleMS struct {
	state, width uint32
	cost         int64
	currency     string
}

const worldMs = 700

func newOracle(cfg Config) *oracle {
	return &oracle{cfg: cfg, parts: map[string]*oraclePart{}, marks: map[uint32]int64{}, folded: -1, base: 0, newest: -1}
}

func (o *oracle) add(rows []schemas.Activity) (out []schemas.Finding) {
	said := false
	for i := range rows {
		if r := &rows[i]; r.Allocation == "" {
			moved := r.From > o.marks[r.Engine]
			o.marks[r.Engine] = max(o.marks[r.Engine], r.From)
			said = said || moved && o.waiting
		} else {
			said = o.take(r) || said
		}
	}
	if !said {
		return nil
	}
	to, over := o.reach()
	to = max(to, o.folded)
	for t := max(o.folded, o.finding.UpdatedAt) + 1; t <= to; t++ {
		out = append(out, o.decide(t)...)
	}
	o.folded = to
	if over {
		if o.finding.Status == schemas.StatusOpen {
			t := max(to, o.finding.UpdatedAt)
			out = append(out, o.revise(t, func(f *schemas.Finding) { f.Status, f.ResolvedAt = schemas.StatusResolved, t }))
			o.cleared = t
		}
		o.parts, o.base = map[string]*oraclePart{}, to
		return out
	}
	o.forget()
	return out
}

func (o *oracle) take(r *schemas.Activity) (said bool) {
	key := r.Node + "/" + r.GPU
	p := o.parts[key]
	if r.State != released && r.To <= o.base {
		return false
	}
	if r.To >= o.newest {
		o.width, o.newest = r.Width, r.To
	}
	if p == nil {
		if r.State == released {
			return false
		}
		p = &oraclePart{end: -1, released: never, first: never, step: r.To - r.From, engine: r.Engine}
		o.parts[key] = p
	}
	if r.State == released {
		clear(p.ms[max(r.From, o.base):])
		p.released, p.left, p.end = max(r.From, o.base), r.Width, max(p.end, r.From)
		return true
	}
	if r.To > p.end {
		p.step, p.end = r.To-max(r.From, p.end), r.To
	}
	p.first = min(p.first, r.From)
	if r.To > p.released && r.State != unknown {
		p.released = never
	}
	for t := max(r.From, o.base); t < r.To; t++ {
		p.ms[t] = oracleMS{}
		if r.State != unknown {
			p.ms[t] = oracleMS{r.State, r.Width, r.Cost / (r.To - r.From), r.Currency}
		}
	}
	return true
}

func (o *oracle) reach() (int64, bool) {
	to, newest, held, last, over := never, int64(-1), 0, int64(-1), false
	for _, p := range o.parts {
		if p.released > last {
			last, over = p.released, false
		}
		if p.released == last && p.left == 0 {
			over = true
		}
		if p.released != never {
			continue
		}
		held++
		newest = max(newest, p.end)
		if m, ok := o.marks[p.engine]; ok {
			to = min(to, max(p.end, m-o.cfg.settled-p.step))
		}
	}
	if held == 0 && over {
		return last, true
	}
	if held < int(o.width) {
		for _, m := range o.marks {
			to = min(to, m-o.cfg.settled)
		}
	}
	to = min(to, newest)
	o.waiting = to < newest-o.cfg.settled
	return to, false
}

// shares are the measured and the active share of a millisecond, in ppm.
func (o *oracle) shares(t int64) (m, a int64) {
	var measured, working, held int64
	for _, p := range o.parts {
		ms := &p.ms[t]
		if ms.state == 0 {
			continue
		}
		measured++
		held = max(held, int64(ms.width))
		if ms.state == active {
			working++
		}
	}
	if held = max(held, measured); held == 0 {
		return 0, 0
	}
	return measured * 1_000_000 / held, working * 1_000_000 / held
}

func (o *oracle) isIdle(t int64) bool {
	m, a := o.shares(t)
	return m > 0 && a*1_000_000 < int64(o.cfg.Default.Share)*m
}

// back walks from t to where length of measured time lies between. The active time
// of the window, times scale, is value; not ok if it would begin before floor.
func (o *oracle) back(t, length, floor int64) (value, scale, begin int64, ok bool) {
	var measured, working int64
	for s := t - 1; s >= max(floor, o.base); s-- {
		m, a := o.shares(s)
		measured += m
		working += a
		if excess := measured - length*1_000_000; excess >= 0 {
			return working*m - a*excess, m, s, true
		}
	}
	return working, 1, max(floor, o.base), false
}

// floor is before what no window begins.
func (o *oracle) floor() int64 {
	floor := o.base
	if g := o.cfg.Default.Grace; g > 0 {
		floor = max(floor, g) // the hold begins at 0
	}
	if o.cleared > 0 {
		quiet := o.cleared
		for quiet > o.base && !o.isIdle(quiet-1) {
			quiet--
		}
		floor = max(floor, quiet)
	}
	return floor
}

func (o *oracle) below(t, length int64) (begin int64, yes bool) {
	value, scale, begin, ok := o.back(t, length, o.floor())
	return begin, ok && value < length*int64(o.cfg.Default.Share)*scale
}

func (o *oracle) decide(t int64) (out []schemas.Finding) {
	s := o.cfg.Default
	f := &o.finding
	rises := func(f *schemas.Finding) { f.Severity, f.ThresholdAt = schemas.SeverityAlert, t }
	if f.Status != schemas.StatusOpen {
		begin, notice := o.below(t, s.Notice)
		longer, alert := o.below(t, s.Alert)
		if alert {
			begin = longer
		} else if !notice {
			return nil
		}
		o.begin(t, begin)
		return append(out, o.revise(t, func(f *schemas.Finding) {
			if alert {
				rises(f)
			}
		}))
	}
	value, scale, _, ok := o.back(t, s.Alert, o.since)
	if !ok {
		scale = 1
	}
	if value >= s.Alert*int64(s.Share)*scale {
		out = append(out, o.revise(t, func(f *schemas.Finding) { f.Status, f.ResolvedAt = schemas.StatusResolved, t }))
		o.cleared = t
		return out
	}
	if _, alert := o.below(t, s.Alert); alert && f.Severity == schemas.SeverityNotice {
		return append(out, o.revise(t, rises))
	}
	if slices.Contains(o.cfg.steps, t-max(f.OpenedAt, f.ThresholdAt)) {
		out = append(out, o.revise(t, func(*schemas.Finding) {}))
	}
	return out
}

func (o *oracle) begin(t, since int64) {
	for since < t && !o.isIdle(since) {
		since++
	}
	o.since = since
	o.finding = schemas.Finding{
		Finding: fmt.Sprintf("idle/a/%d", t), Kind: "idle", Status: "open", Severity: "notice", OpenedAt: t, Allocation: "a",
	}
}

func (o *oracle) revise(t int64, change func(*schemas.Finding)) schemas.Finding {
	f := &o.finding
	f.Revision++
	f.UpdatedAt = t
	change(f)
	f.BurntCost = 0
	for ms := o.since; ms < t; ms++ {
		f.BurntCost += o.gone[ms]
	}
	for _, p := range o.parts {
		for ms := o.since; ms < t; ms++ {
			if m := p.ms[ms]; m.state > active {
				f.BurntCost += m.cost
			}
		}
	}
	var gpus []string
	for key, p := range o.parts {
		if p.first < t && p.released >= t {
			gpus = append(gpus, key[len("n/"):])
		}
	}
	if slices.Sort(gpus); len(gpus) > 0 {
		f.GPUs = gpus
	}
	return *f
}

// forget moves the base as far as the longest window allows, in whole cells.
func (o *oracle) forget() {
	_, _, begin, ok := o.back(o.folded, o.cfg.Default.Alert, o.base)
	if !ok {
		return
	}
	o.base = max(o.base, begin-begin%o.cfg.cell)
	for key, p := range o.parts {
		if p.end <= o.base {
			for t := range p.ms {
				if p.ms[t].state > active {
					o.gone[t] += p.ms[t].cost
				}
			}
			delete(o.parts, key)
		}
	}
}

// told is what the oracle knows of a finding.
func told(f schemas.Finding) string {
	return fmt.Sprintf("%s r%d %s %s opened %d threshold %d updated %d resolved %d burnt %d gpus %v", f.Finding, f.Revision, f.Status, f.Severity,
		f.OpenedAt, f.ThresholdAt, f.UpdatedAt, f.ResolvedAt, f.BurntCost, f.GPUs)
}

func since(f schemas.Finding) int64 {
	for _, l := range f.Evidence {
		if l.Key == evidenceIdleSince {
			t, _ := time.Parse(instantFormat, l.Value)
			return t.UnixMilli()
		}
	}
	return -1
}

func TestDetectorIsTheRule(t *testing.T) {
	found := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := drawScript(t, false)
		d, err := New(w.cfg)
		if err != nil {
			t.Fatal(err)
		}
		o := newOracle(w.cfg.withDefaults())
		for i, rows := range w.records {
			got, want := d.Add(int64(i+1), rows), o.add(rows)
			for k := range max(len(got), len(want)) {
				switch {
				case k >= len(got):
					t.Fatalf("record %d: the detector misses %s", i+1, told(want[k]))
				case k >= len(want):
					t.Fatalf("record %d: the oracle does not say %s", i+1, told(got[k]))
				case told(got[k]) != told(want[k]):
					t.Fatalf("record %d: %s\nthe oracle says %s", i+1, told(got[k]), told(want[k]))
				}
				found[got[k].Status+" "+got[k].Severity]++
			}
			if n := len(want); n > 0 && since(got[n-1]) != o.since {
				t.Fatalf("record %d: idle since %d, the oracle says %d", i+1, since(got[n-1]), o.since)
			}
		}
	})
	for _, kind := range []string{"open notice", "open alert", "resolved notice", "resolved alert"} {
		if found[kind] == 0 {
			t.Errorf("no world had %q: %v", kind, found)
		}
	}
}
