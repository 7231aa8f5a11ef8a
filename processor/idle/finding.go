package idle

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// Keys of the evidence.
const (
	evidenceActive     = "active_percent"    // active share of the window's measured time
	evidenceAlert      = "alert_minutes"     // setting
	evidenceGPUs       = "gpus"              // how many GPUs and slices
	evidenceIdleSince  = "idle_since"        // RFC 3339
	evidenceMeasured   = "measured_minutes"  // measured time of the window
	evidenceMemory     = "memory_used_bytes" // in use on all its GPUs when last seen without work
	evidenceMemoryHeld = "memory_held"       // yes where that is memory resident by rule 4 on any of them
	evidenceNotice     = "notice_minutes"    // setting
	evidencePhase      = "phase"             // class of workload
	evidenceShare      = "share_percent"     // setting
)

const instantFormat = "2006-01-02T15:04:05.000Z07:00"

// describeFinding writes what the revision at e says beside its status.
func (a *allocation) describeFinding(s *Settings, e event) {
	f := &a.finding
	f.User, f.Name, f.Team = a.user, a.title, a.team
	f.BurntCost = a.total - a.burnt(max(e.at, a.idleSince), never)
	perHour, memory, held := int64(0), uint64(0), false
	parts := a.partsAt(e.at)
	if len(parts) > 0 {
		f.Node, f.GPUs = parts[0].node, make([]string, 0, len(parts))
	}
	for _, p := range parts {
		f.GPUs = append(f.GPUs, p.name())
		if p.tariff.currency == f.Currency {
			perHour += p.tariff.perHour
		}
		if last := p.latestIdle(e.at); last != nil {
			memory += last.memory
			held = held || last.state == idleHeld
		}
	}
	f.CostPerHour = perHour
	f.Evidence = a.evidence(s, e, memory, held)
	f.Advice = a.advice(e.cause, memory, held)
}

// partsAt are the GPUs that were held just before t, of those that have spoken.
func (a *allocation) partsAt(t int64) []*part {
	var parts []*part
	for _, p := range a.parts {
		if p.first < t && p.released >= t {
			parts = append(parts, p)
		}
	}
	return parts
}

func (a *allocation) evidence(s *Settings, e event, memory uint64, held bool) []schemas.Label {
	measured, active := a.measuredIn(s, e.at)
	kept := "no"
	if held {
		kept = "yes"
	}
	percent := active / max(1, measured/10_000)
	all := []schemas.Label{
		{Key: evidenceActive, Value: hundredths(percent)},
		{Key: evidenceAlert, Value: minutes(s.Alert)},
		{Key: evidenceGPUs, Value: strconv.Itoa(len(a.finding.GPUs))},
		{Key: evidenceIdleSince, Value: time.UnixMilli(a.idleSince).UTC().Format(instantFormat)},
		{Key: evidenceMeasured, Value: minutes(measured / whole)},
		{Key: evidenceMemory, Value: strconv.FormatUint(memory, 10)},
		{Key: evidenceMemoryHeld, Value: kept},
		{Key: evidenceNotice, Value: minutes(s.Notice)},
		{Key: evidencePhase, Value: a.phase},
		{Key: evidenceShare, Value: hundredths(int64(s.Share) / 100)},
	}
	slices.SortFunc(all, func(a, b schemas.Label) int { return cmp.Compare(a.Key, b.Key) })
	return all
}

// measuredIn is the measured and active time (ppm·ms) of the alert's window at t, or
// of what it has of the idleness.
func (a *allocation) measuredIn(s *Settings, t int64) (measured, active int64) {
	if len(a.line) == 0 {
		return 0, 0
	}
	measured, active = a.line.sums(t)
	floor, _ := a.line.sums(a.idleSince)
	mark := max(measured-s.Alert*whole, floor)
	return measured - mark, active - a.line.activeFrom(mark)
}

func hundredths(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// minutes has a tenth where it is not whole.
func minutes(ms int64) string {
	tenths := ms * 10 / minute
	if tenths%10 == 0 {
		return strconv.FormatInt(tenths/10, 10)
	}
	return fmt.Sprintf("%d.%d", tenths/10, tenths%10)
}

// advice says what to do, in a sentence.
func (a *allocation) advice(c cause, memory uint64, held bool) string {
	switch {
	case c == worked:
		return "Nothing to do: it works again."
	case c == ended:
		return "Nothing to do: its GPUs have been released."
	case interactive(a.phase) && held:
		return fmt.Sprintf("Save the session and stop it, or restart its kernel: it holds %s of GPU memory and computes nothing.", gibibytes(memory))
	case interactive(a.phase):
		return "Stop the session until it is needed: nothing is loaded on its GPUs."
	case held:
		return fmt.Sprintf("Release or checkpoint and stop it: it holds %s of GPU memory and computes nothing.", gibibytes(memory))
	}
	return "Stop it or find out what it waits for: nothing is loaded on its GPUs, so it has finished or never began."
}

// interactive tells phases in which a person sits in front of it.
func interactive(phase string) bool {
	for _, word := range []string{"notebook", "interactive", "dev"} {
		if strings.Contains(strings.ToLower(phase), word) {
			return true
		}
	}
	return false
}

func gibibytes(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
