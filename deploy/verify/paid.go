package verify

import (
	"slices"

	"github.com/gpumeter/gpumeter/deploy/oracle"
)

const (
	million = 1_000_000 // a whole GPU in position
	hour    = 3_600_000 // ms
)

// A stay is a resource in the time in which it exists, cut by hour and price.
type stay struct {
	oracle.Stay
	parts []oracle.Part
}

// paid is what is paid for, and at what price: what rows must add up to.
type paid struct {
	resources []string          // in order
	stays     map[string][]stay // of each resource, in order of time
}

func newPaid(l *oracle.Ledger) *paid {
	p := &paid{stays: map[string][]stay{}}
	for _, s := range l.Stays() {
		if p.stays[s.Resource] == nil {
			p.resources = append(p.resources, s.Resource)
		}
		p.stays[s.Resource] = append(p.stays[s.Resource], stay{s, l.Parts(s)})
	}
	return p
}

// at finds the stay of a resource and its part at an instant; nil when there is none.
func (p *paid) at(resource string, t int64) (*stay, *oracle.Part) {
	stays := p.stays[resource]
	i, _ := slices.BinarySearchFunc(stays, t, func(s stay, t int64) int { return endsBy(s.End, t) })
	if i == len(stays) || t < stays[i].Start {
		return nil, nil
	}
	parts := stays[i].parts
	k, _ := slices.BinarySearchFunc(parts, t, func(x oracle.Part, t int64) int { return endsBy(x.To, t) })
	return &stays[i], &parts[k]
}

// endsBy orders what ends at end before an instant that it does not reach.
func endsBy(end, t int64) int {
	if end <= t {
		return -1
	}
	return 1
}

// windowStart is where the window with t in it begins; windows begin anew with
// every hour.
func windowStart(t, window int64) int64 {
	into := t % hour
	if into < 0 {
		into += hour
	}
	return t - into%window
}
