package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/gpumeter/gpumeter/collector/fleet"
)

// hourless is the row of allocations that lacked samples of a GPU for most of an
// hour or more; their classes count them, too.
const hourless = "an hour without samples"

// A tally counts by class of workload what each contender got wrong.
type tally struct {
	allocations map[string]int
	alerts      map[string]int
	missed      map[string][3]int
	wrong       map[string][3]int
}

func newTally() *tally {
	return &tally{map[string]int{}, map[string]int{}, map[string][3]int{}, map[string][3]int{}}
}

// rows are those that an allocation counts in.
func rows(t *fleet.Truth) []string {
	all := []string{string(t.Class)}
	for _, u := range t.Unknown {
		if u.To-u.From >= 50*60_000 {
			return append(all, hourless)
		}
	}
	return all
}

func (y *tally) fleet(t *truth) {
	for id, a := range t.allocations {
		for _, row := range rows(a) {
			y.allocations[row]++
			y.alerts[row] += len(t.alerts[id])
		}
	}
}

func (y *tally) score(contender int, t *truth, s score) {
	add := func(to map[string][3]int, alerts []alert) {
		for _, a := range alerts {
			for _, row := range rows(t.allocations[a.allocation]) {
				n := to[row]
				n[contender]++
				to[row] = n
			}
		}
	}
	add(y.missed, s.missed)
	add(y.wrong, s.wrong)
}

func (y *tally) show(w io.Writer) {
	fmt.Fprintf(w, "\nall seeds                                     gpumeter        timer       exact zero\n%-24s %6s %7s   %7s %5s  %7s %5s  %7s %5s\n",
		"class", "seen", "alerts", "missed", "false", "missed", "false", "missed", "false")
	for _, row := range slices.Sorted(maps.Keys(y.allocations)) {
		fmt.Fprintf(w, "%-24s %6d %7d  ", row, y.allocations[row], y.alerts[row])
		for i := range 3 {
			fmt.Fprintf(w, " %7d %5d ", y.missed[row][i], y.wrong[row][i])
		}
		fmt.Fprintln(w)
	}
}
