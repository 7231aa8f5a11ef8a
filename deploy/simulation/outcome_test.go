//go:build synctests

package simulation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// wrongFindings gives what is wrong with the revisions of findings: each must be there
// once, 1, 2, 3 and so on, none after a resolution, and an allocation has at most one
// finding open at a time.
func wrongFindings(all []schemas.Finding) (wrong []string) {
	byID := map[string][]schemas.Finding{}
	for _, f := range all {
		byID[f.Finding] = append(byID[f.Finding], f)
	}
	byAllocation := map[string][]schemas.Finding{}
	for id, revisions := range byID {
		for i, f := range revisions {
			if f.Revision != int64(i+1) {
				wrong = append(wrong, fmt.Sprintf("finding %s: revision %d is the %dth that was published", id, f.Revision, i+1))
				break
			}
		}
		last := revisions[len(revisions)-1]
		byAllocation[last.Allocation] = append(byAllocation[last.Allocation], last)
	}
	for allocation, list := range byAllocation {
		slices.SortFunc(list, func(a, b schemas.Finding) int { return cmp.Compare(a.OpenedAt, b.OpenedAt) })
		for i := range list[1:] {
			if r := list[i].ResolvedAt; r == 0 || r > list[i+1].OpenedAt {
				wrong = append(wrong, fmt.Sprintf("allocation %s: %s was open when %s began", allocation, list[i].Finding, list[i+1].Finding))
			}
		}
	}
	return wrong
}

// wrongLetters gives what no fault excuses: nothing here is unreadable or of a mad
// clock, and what is reported is reported once.
func wrongLetters(all []schemas.DeadLetter) (wrong []string) {
	times := map[string]int{}
	for _, l := range all {
		switch l.Reason {
		case schemas.ReasonCorrupt, schemas.ReasonBadTime, schemas.ReasonTooLate:
			wrong = append(wrong, fmt.Sprintf("letter of %s at %s: %s", l.Stream, l.Place, l.Detail))
		}
		key := strings.Join([]string{l.Stream, l.Place, l.Reason}, " ")
		if times[key]++; times[key] == 2 {
			wrong = append(wrong, "reported twice: "+key+": "+l.Detail)
		}
	}
	return wrong
}
