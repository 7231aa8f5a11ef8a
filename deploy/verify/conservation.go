package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// conservation checks the sums: per resource and hour, the milliseconds and, per
// currency, the money.
type conservation struct {
	tally
	missing map[sumKey]sum // what should be, less what was found
}

type sumKey struct {
	resource string
	hour     int64 // Unix ms
	currency string
}

type sum struct{ expectedMs, foundMs, expectedNanos, foundNanos int64 }

func newConservation(p *paid) *conservation {
	c := &conservation{
		tally:   newTally("conservation", "sums per resource and hour are GPUs x existence and rule 8's whole"),
		missing: map[sumKey]sum{},
	}
	for _, resource := range p.resources {
		for _, s := range p.stays[resource] {
			for _, part := range s.parts {
				c.add(resource, part.From, part.Currency, sum{expectedMs: (part.To - part.From) * int64(len(s.GPUs)), expectedNanos: part.Whole})
			}
		}
	}
	return c
}

func (c *conservation) add(resource string, t int64, currency string, s sum) {
	k := sumKey{resource, windowStart(t, hour), currency}
	have := c.missing[k]
	c.missing[k] = sum{
		have.expectedMs + s.expectedMs, have.foundMs + s.foundMs,
		have.expectedNanos + s.expectedNanos, have.foundNanos + s.foundNanos,
	}
}

func (c *conservation) row(r *oracle.Row) {
	c.add(r.Resource, r.WindowStart, r.Currency, sum{foundMs: r.GPUMs, foundNanos: r.ListCost})
}

func (c *conservation) end() {
	keys := slices.SortedFunc(maps.Keys(c.missing), func(a, b sumKey) int {
		return cmp.Or(strings.Compare(a.resource, b.resource), cmp.Compare(a.hour, b.hour), strings.Compare(a.currency, b.currency))
	})
	for _, k := range keys {
		c.Compared++
		s := c.missing[k]
		name := fmt.Sprintf("resource=%s hour=%s currency=%q", k.resource, instant(k.hour), k.currency)
		if s.expectedMs != s.foundMs {
			c.broken(name, "sum of gpu_ms", value(s.expectedMs), value(s.foundMs))
		}
		if s.expectedNanos != s.foundNanos {
			c.broken(name, "sum of list_cost in nano-units", value(s.expectedNanos), value(s.foundNanos))
		}
	}
}
