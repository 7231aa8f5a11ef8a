package idle_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gpumeter/gpumeter/processor/idle"
	"github.com/gpumeter/gpumeter/schemas"
)

const (
	start  = int64(1_780_279_200_000)
	second = int64(1000)
	minute = 60 * second
)

// A job is one allocation that a test drives: it says what its GPUs do, a row a
// minute at most, and keeps what comes out.
type job struct {
	t     *testing.T
	d     *idle.Detector
	place int64
	now   int64
	found []schemas.Finding
	row   schemas.Activity // what all rows have
}

func newJob(t *testing.T, classes map[string]idle.Settings) *job {
	t.Helper()
	d, err := idle.New(idle.Config{Default: idle.DefaultSettings(), Classes: classes})
	if err != nil {
		t.Fatal(err)
	}
	return &job{t: t, d: d, now: start, row: schemas.Activity{
		Allocation: "a", Node: "n", Width: 1, Held: start, User: "ada", Team: "red", Phase: "train",
		Currency: "USD", PerHour: 3_600_000_000, MemoryUsed: 40 << 30,
	}}
}

// does adds a record of what each GPU does for a while: work, hold, idle, or
// nothing said.
func (j *job) does(span int64, states ...string) *job {
	for end := j.now + span; j.now < end; {
		to := min(end, j.now+minute)
		var rows []schemas.Activity
		for i, state := range states {
			r := j.row
			r.GPU, r.From, r.To, r.Cost = fmt.Sprint("g", i), j.now, to, (to-j.now)*1000
			switch state {
			case "work":
				r.State = uint32(schemas.StateActive)
			case "hold":
				r.State = uint32(schemas.StateIdleHeld)
			case "idle":
				r.State = uint32(schemas.StateIdle)
			case "nothing":
				continue
			}
			if r.Currency == "" {
				r.Cost, r.PerHour = 0, 0
			}
			rows = append(rows, r)
		}
		j.now = to
		j.add(rows...)
	}
	return j
}

func (j *job) add(rows ...schemas.Activity) {
	j.place++
	j.found = append(j.found, j.d.Add(j.place, rows)...)
}

// ends releases its GPUs.
func (j *job) ends(gpus int) *job {
	var rows []schemas.Activity
	for i := range gpus {
		r := j.row
		r.GPU, r.State, r.From, r.To, r.Width = fmt.Sprint("g", i), schemas.StateReleased, j.now, j.now, 0
		rows = append(rows, r)
	}
	j.add(rows...)
	return j
}

// told are the revisions, as seconds since the start; steps are left out.
func (j *job) told() (all []string) {
	last := schemas.Finding{}
	for _, f := range j.found {
		at := fmt.Sprintf("%.3f", float64(f.UpdatedAt-start)/1000)
		switch {
		case f.Status == schemas.StatusResolved:
			all = append(all, at+" resolved")
		case f.Finding != last.Finding || f.Severity != last.Severity:
			all = append(all, at+" "+f.Severity)
		}
		last = f
	}
	return all
}

func (j *job) expect(want ...string) *job {
	j.t.Helper()
	if got := j.told(); !slices.Equal(got, want) {
		j.t.Fatalf("said %q\nwant %q", got, want)
	}
	return j
}

func (j *job) last() schemas.Finding { return j.found[len(j.found)-1] }

func (j *job) evidence(key string) string {
	for _, l := range j.last().Evidence {
		if l.Key == key {
			return l.Value
		}
	}
	return "none"
}

// An hour of work and then none: 5 minutes and 30 minutes later, less what 2 % of
// the window may be: 6 s and 36 s. One millisecond more, since less is wanted.
func TestIdleAfterWork(t *testing.T) {
	j := newJob(t, nil).does(60*minute, "work").does(40*minute, "hold").
		expect("3894.001 notice", "5364.001 alert")
	f := j.found[0]
	if f.OpenedAt != start+3_894_001 || f.Finding != fmt.Sprint("idle/a/", f.OpenedAt) || f.User != "ada" || f.Team != "red" || f.Node != "n" {
		t.Errorf("%+v", f)
	}
	if got := j.evidence("idle_since"); got != "2026-06-01T03:00:00.000Z" { // an hour after the start
		t.Errorf("idle since %s", got)
	}
	if f.BurntCost != (f.OpenedAt-start-60*minute)*1000 || f.Currency != "USD" || f.CostPerHour != 3_600_000_000 {
		t.Errorf("burnt %d %s, %d an hour", f.BurntCost, f.Currency, f.CostPerHour)
	}
	if j.evidence("memory_held") != "yes" || j.evidence("memory_used_bytes") != fmt.Sprint(40<<30) {
		t.Errorf("%v", j.last().Evidence)
	}
}

// Never any work: the windows begin where the samples do.
func TestIdleFromTheStart(t *testing.T) {
	j := newJob(t, nil).does(31*minute, "idle").expect("300.000 notice", "1800.000 alert")
	if j.evidence("memory_held") != "no" {
		t.Errorf("%v", j.last().Evidence)
	}
}

// Ten seconds of work every ten minutes are no work.
func TestKeepAliveHidesNothing(t *testing.T) {
	j := newJob(t, nil).does(2*minute, "work")
	for range 9 {
		j.does(10*minute-10*second, "hold").does(10*second, "work")
	}
	if got := j.told(); len(got) != 2 || got[1][len(got[1])-5:] != "alert" || j.last().Status != schemas.StatusOpen {
		t.Fatalf("%q", got)
	}
}

// Checkpoints and validation leave gaps of some minutes.
func TestPausesOfWork(t *testing.T) {
	j := newJob(t, nil)
	for range 10 {
		j.does(5*minute, "work").does(4*minute, "hold")
	}
	j.expect()
}

// Work of 36 s resolves an alert, at the very millisecond; 35 s do not.
func TestWorkResolves(t *testing.T) {
	newJob(t, nil).does(40*minute, "hold").does(35*second, "work").does(20*minute, "hold").
		expect("300.000 notice", "1800.000 alert")
	j := newJob(t, nil).does(40*minute, "hold").does(5*minute, "work").
		expect("300.000 notice", "1800.000 alert", "2436.000 resolved")
	if f := j.last(); f.BurntCost != 40*minute*1000 || f.ResolvedAt != f.UpdatedAt {
		t.Errorf("%+v", f)
	}
	j.does(60*minute, "hold").
		expect("300.000 notice", "1800.000 alert", "2436.000 resolved", "2994.001 notice", "4464.001 alert")
}

// Time that nobody measured is neither: it stretches the windows.
func TestUnknownTimeStretches(t *testing.T) {
	newJob(t, nil).does(4*minute, "hold").does(60*minute, "nothing").does(30*minute, "hold").
		expect("3900.000 notice", "5400.000 alert")
}

// All GPUs count together: one that works is enough, one of a hundred is not.
func TestGPUsTogether(t *testing.T) {
	newJob(t, nil).does(60*minute, "work", "hold", "hold", "hold").expect()
	many := make([]string, 100)
	for i := range many {
		many[i] = "hold"
	}
	many[0] = "work"
	j := newJob(t, nil).does(31*minute, many...).expect("300.000 notice", "1800.000 alert")
	if f := j.last(); len(f.GPUs) != 100 || f.CostPerHour != 100*3_600_000_000 || j.evidence("active_percent") != "1.00" {
		t.Errorf("%d GPUs, %d an hour, %s %% active", len(f.GPUs), f.CostPerHour, j.evidence("active_percent"))
	}
}

// A GPU that nobody measures halves what is measured.
func TestUnmeasuredGPU(t *testing.T) {
	j := newJob(t, nil)
	j.row.Width = 2
	j.does(61*minute, "hold").expect("600.000 notice", "3600.000 alert")
}

// The end of the allocation resolves, whether notice or alert.
func TestReleaseResolves(t *testing.T) {
	j := newJob(t, nil).does(10*minute, "hold", "hold").ends(2).expect("300.000 notice", "600.000 resolved")
	if f := j.last(); f.BurntCost != 2*10*minute*1000 || !slices.Equal(f.GPUs, []string{"g0", "g1"}) {
		t.Errorf("%+v", f)
	}
	j.row.From = start // a late row changes nothing
	late := j.row
	late.GPU, late.State, late.From, late.To = "g0", uint32(schemas.StateIdle), start, start+10*minute
	j.add(late)
	j.expect("300.000 notice", "600.000 resolved")
}

// A hold that moves to another GPU goes on.
func TestHoldMoves(t *testing.T) {
	j := newJob(t, nil).does(4*minute, "hold")
	r := j.row
	r.GPU, r.State, r.From, r.To = "g0", schemas.StateReleased, j.now, j.now
	j.add(r)
	j.does(2*minute, "nothing", "hold").expect("300.000 notice")
	if f := j.last(); !slices.Equal(f.GPUs, []string{"g1"}) || f.BurntCost != 5*minute*1000 {
		t.Errorf("%+v", f)
	}
}

// Grace is not looked at; classes have settings of their own.
func TestClassesAndGrace(t *testing.T) {
	classes := map[string]idle.Settings{"notebook": {Share: 50_000, Notice: 10 * minute, Alert: 60 * minute, Grace: 15 * minute}}
	j := newJob(t, classes)
	j.row.Phase = "notebook"
	j.does(80*minute, "hold").expect("1500.000 notice", "4500.000 alert")
	if a := j.last().Advice; a != "Save the session and stop it, or restart its kernel: it holds 40.0 GiB of GPU memory and computes nothing." {
		t.Errorf("advice: %s", a)
	}
}

// Without a price there is a finding without money.
func TestUnpriced(t *testing.T) {
	j := newJob(t, nil)
	j.row.Currency = ""
	j.does(31*minute, "hold").expect("300.000 notice", "1800.000 alert")
	if f := j.last(); f.BurntCost != 0 || f.CostPerHour != 0 || f.Currency != "" {
		t.Errorf("%+v", f)
	}
}

// An open finding is told again 5, 15, 30 and 60 minutes after it opened or rose,
// then every hour.
func TestSteps(t *testing.T) {
	j := newJob(t, nil).does(5*60*minute, "hold")
	var at []int64
	for i, f := range j.found {
		if f.Revision != int64(i+1) || f.BurntCost != (f.UpdatedAt-start)*1000 {
			t.Errorf("revision %d: %+v", i+1, f)
		}
		at = append(at, (f.UpdatedAt-start)/minute)
	}
	if want := []int64{5, 10, 20, 30, 35, 45, 60, 90, 150, 210, 270}; !slices.Equal(at, want) {
		t.Errorf("revisions at minutes %v, want %v", at, want)
	}
}

// A node that was cut off speaks an hour late: its work counts from then on.
func TestLateWork(t *testing.T) {
	j := newJob(t, nil).does(10*minute, "hold").expect("300.000 notice")
	late := j.row
	late.GPU, late.State, late.From, late.To = "g0", uint32(schemas.StateActive), start+5*minute, start+9*minute
	j.add(late)
	j.expect("300.000 notice")
	j.does(second, "hold").expect("300.000 notice", "600.001 resolved")
	if f := j.last(); f.BurntCost != (6*minute+1)*1000 {
		t.Errorf("burnt %d", f.BurntCost)
	}
}

// While the engine of a silent GPU has not come past, nothing is decided without
// it: after an outage one engine may be hours ahead of another.
func TestEnginesApart(t *testing.T) {
	j := newJob(t, nil)
	j.row.Width = 2
	j.add(schemas.Activity{Engine: 0, From: start, To: start}, schemas.Activity{Engine: 1, From: start, To: start})
	other := j.row
	other.GPU, other.Engine, other.State, other.From, other.To, other.Cost = "g1", 1, uint32(schemas.StateActive), start, start+second, 0
	j.add(other)
	j.does(60*minute, "hold").expect() // the other one is behind, not idle
	other.From, other.To = start+second, start+60*minute
	j.add(other)
	j.expect()
}

// What fell silent a day ago is forgotten, and its finding stays open.
func TestSilentForADay(t *testing.T) {
	j := newJob(t, nil).does(31*minute, "hold")
	if _, ok := j.d.Needs(); !ok {
		t.Fatal("a live allocation needs nothing")
	}
	for hour := int64(1); hour < 27; hour++ {
		j.add(schemas.Activity{Engine: 7, From: j.now + hour*60*minute, To: j.now + hour*60*minute})
	}
	if place, ok := j.d.Needs(); !ok || place != j.place {
		t.Errorf("needs %d, %t; the watermark is at %d", place, ok, j.place)
	}
	if f := j.last(); f.Status != schemas.StatusOpen {
		t.Errorf("%+v", f)
	}
	cost := j.last().BurntCost
	j.now += 27 * 60 * minute
	j.does(minute, "hold").does(minute, "work")
	if f := j.last(); f.Status != schemas.StatusResolved || f.BurntCost <= cost || f.Finding != j.found[0].Finding {
		t.Errorf("after the silence: %+v", f)
	}
}

func TestRefusedSettings(t *testing.T) {
	good := idle.DefaultSettings()
	for name, change := range map[string]func(*idle.Settings){
		"no share": func(s *idle.Settings) { s.Share = 0 }, "more than all": func(s *idle.Settings) { s.Share = 1_000_001 },
		"notice after alert": func(s *idle.Settings) { s.Notice = s.Alert + 1 }, "no notice": func(s *idle.Settings) { s.Notice = 0 },
		"years": func(s *idle.Settings) { s.Alert = 400 * 24 * 60 * minute }, "negative grace": func(s *idle.Settings) { s.Grace = -1 },
	} {
		bad := good
		change(&bad)
		if _, err := idle.New(idle.Config{Default: good, Classes: map[string]idle.Settings{"x": bad}}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func ExampleDetector() {
	d, err := idle.New(idle.Config{Default: idle.DefaultSettings()})
	if err != nil {
		panic(err)
	}
	for place := range int64(40) { // a row a minute
		row := schemas.Activity{
			Allocation: "job", GPU: "g", State: uint32(schemas.StateIdleHeld), Width: 1, From: start + place*minute, To: start + (place+1)*minute,
			Currency: "USD", Cost: 60_000_000, PerHour: 3_600_000_000,
		}
		for _, f := range d.Add(place, []schemas.Activity{row}) {
			fmt.Println(f.Severity, (f.UpdatedAt-start)/minute, "min", f.BurntCost, "nano", f.Currency)
		}
	}
	// Output:
	// notice 5 min 300000000 nano USD
	// notice 10 min 600000000 nano USD
	// notice 20 min 1200000000 nano USD
	// alert 30 min 1800000000 nano USD
	// alert 35 min 2100000000 nano USD
}
