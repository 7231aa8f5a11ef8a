package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gpumeter/gpumeter/collector/fleet"
)

// An alert says that an allocation was idle. Times are Unix ms.
type alert struct {
	allocation string
	threshold  int64
	over       int64 // 0 = it goes on; of the truth only
}

// A truth is every alert that there should be, and every allocation.
type truth struct {
	alerts      map[string][]alert
	until       int64 // alerts from here on do not count
	allocations map[string]*fleet.Truth
}

// edge is the time before the end in which a detector may lack samples.
const edge = 60_000

// newTruth takes the alerts of a fleet's truth up to its end.
func newTruth(all []fleet.Truth, start, end int64) *truth {
	t := &truth{alerts: map[string][]alert{}, until: end - edge, allocations: map[string]*fleet.Truth{}}
	for i := range all {
		t.allocations[all[i].ID] = &all[i]
		for _, f := range all[i].Findings {
			if f.ThresholdAt == nil || start+*f.ThresholdAt >= t.until {
				continue
			}
			a := alert{allocation: all[i].ID, threshold: start + *f.ThresholdAt}
			if f.ResolvedAt != nil {
				a.over = start + *f.ResolvedAt
			}
			t.alerts[a.allocation] = append(t.alerts[a.allocation], a)
		}
	}
	return t
}

// A score is what a detector made of the truth.
type score struct {
	right  int
	errors []time.Duration // of threshold_at, without sign, sorted
	wrong  []alert         // that the truth does not know
	missed []alert
	late   []offTime // the largest errors first
}

// An offTime is an alert that is right, and how far off its threshold is: above
// zero it is late.
type offTime struct {
	alert
	by time.Duration
}

// score gives each alert to the first of the truth that is of its allocation and
// not over by then.
func (t *truth) score(alerts []alert) score {
	alerts = slices.Clone(alerts)
	slices.SortStableFunc(alerts, func(a, b alert) int {
		return cmp.Or(cmp.Compare(a.allocation, b.allocation), cmp.Compare(a.threshold, b.threshold))
	})
	var s score
	known := map[string][]alert{}
	for k, v := range t.alerts {
		known[k] = slices.Clone(v)
	}
	for _, a := range alerts {
		left := known[a.allocation]
		i := slices.IndexFunc(left, func(b alert) bool { return b.over == 0 || a.threshold < b.over })
		switch {
		case i >= 0 && a.threshold > left[i].threshold-edge:
			s.right++
			s.late = append(s.late, offTime{left[i], time.Duration(a.threshold-left[i].threshold) * time.Millisecond})
			known[a.allocation] = slices.Delete(left, i, i+1)
		case a.threshold < t.until:
			s.wrong = append(s.wrong, a)
		}
	}
	for _, left := range known {
		s.missed = append(s.missed, left...)
	}
	slices.SortFunc(s.missed, func(a, b alert) int {
		return cmp.Or(cmp.Compare(a.allocation, b.allocation), cmp.Compare(a.threshold, b.threshold))
	})
	slices.SortStableFunc(s.late, func(a, b offTime) int { return cmp.Compare(b.by.Abs(), a.by.Abs()) })
	for _, l := range s.late {
		s.errors = append(s.errors, l.by.Abs())
	}
	slices.Sort(s.errors)
	return s
}

func (s *score) precision() float64 { return share(s.right, len(s.wrong)) }
func (s *score) recall() float64    { return share(s.right, len(s.missed)) }

// share is good of all; nothing of nothing is all of it.
func share(good, bad int) float64 {
	if good+bad == 0 {
		return 1
	}
	return float64(good) / float64(good+bad)
}

// at is a quantile of the errors, in intervals.
func (s *score) at(q float64, interval time.Duration) float64 {
	if len(s.errors) == 0 {
		return 0
	}
	i := min(int(q*float64(len(s.errors))), len(s.errors)-1)
	return float64(s.errors[i]) / float64(interval)
}

// judge holds s against the goal.
func (s *score) judge(interval time.Duration) error {
	switch {
	case s.precision() < leastPrecision || s.recall() < leastRecall:
		return fmt.Errorf("precision %.4f, recall %.4f: %.2f and %.2f are the goal", s.precision(), s.recall(), leastPrecision, leastRecall)
	case s.at(1, interval) > largestError:
		return fmt.Errorf("a threshold is %.2f sample intervals off: %.0f is the goal", s.at(1, interval), largestError)
	}
	return nil
}

// explain lists what is not as it should be.
func (s *score) explain(w io.Writer) {
	list := func(what string, all []alert) {
		for _, a := range all {
			fmt.Fprintf(w, "      %s: %s at %s\n", what, a.allocation, instant(a.threshold))
		}
	}
	list("missed", s.missed)
	list("false", s.wrong)
	for _, l := range s.late[:min(3, len(s.late))] {
		fmt.Fprintf(w, "      off by %v: %s at %s\n", l.by, l.allocation, instant(l.threshold))
	}
}

func instant(ms int64) string { return time.UnixMilli(ms).UTC().Format("15:04:05.000") }
