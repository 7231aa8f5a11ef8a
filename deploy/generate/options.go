package generate

import (
	"errors"
	"math/rand/v2"
	"strings"
)

// Features are the oddities that an input has, as a set of bits.
type Features uint32

// The features. Without any, schedulers hand whole devices of one resource for
// each node to one holder after the other, and every sample comes once, in order.
const (
	Slices       Features = 1 << iota // MIG slices with shares
	Shares                            // given shares, also more than there is
	Updates                           // updates that replace gpus or labels
	Requeues                          // several starts and ends of one id
	Labels                            // labels, and updates that change them
	Tags                              // tag rules
	Prices                            // price changes, also late known ones, and gaps
	Conflicts                         // two prices known at one instant
	Replacements                      // later records of a resource, other resources on its node
	Overlaps                          // resources that share GPUs for a while
	Unscheduled                       // resources without scheduler
	Gaps                              // stretches without samples
	Missing                           // samples that lack fields, odd intervals
	Repeats                           // lines that come twice, or differ at one instant
	Late                              // lines that come later than their neighbours
	Orphans                           // ends without start, GPUs without resource
	BadLines                          // what must be refused

	none Features = 0
	// All is every feature.
	All = BadLines<<1 - 1
)

// featureNames are in the order of the bits.
const featureNames = "slices shares updates requeues labels tags prices conflicts replacements overlaps unscheduled gaps missing repeats late orphans bad_lines"

// String lists the names of the features, joined by commas.
func (f Features) String() string {
	var on []string
	for i, name := range strings.Fields(featureNames) {
		if f&(1<<i) != 0 {
			on = append(on, name)
		}
	}
	return strings.Join(on, ",")
}

// ParseFeatures reads names joined by commas, "all", or nothing.
func ParseFeatures(text string) (Features, error) {
	if text == "all" {
		return All, nil
	}
	set := none
	for _, name := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		bit := none
		for i, known := range strings.Fields(featureNames) {
			if name == known {
				bit = 1 << i
			}
		}
		if bit == none {
			return none, errors.New("no feature " + name + ": use all, or some of " + strings.ReplaceAll(featureNames, " ", ","))
		}
		set |= bit
	}
	return set, nil
}

// Options say what to write.
type Options struct {
	Seed        uint64
	Start       int64 // Unix ms
	Duration    int64 // ms from the first sample to the last
	Nodes       int
	GPUsPerNode int
	Interval    int64 // ms between the samples of a GPU
	Jobs        int   // allocations; 0 = enough to hold most GPUs most of the time
	Features    Features
}

// Defaults are a small cluster of an hour and a half with all features.
func Defaults() Options {
	return Options{Seed: 1, Start: 1_780_275_600_000 + 47*minute, Duration: 90 * minute, Nodes: 3, GPUsPerNode: 2, Interval: 10_000, Features: All}
}

const (
	second = 1000 // ms
	minute = 60 * second
	hour   = 60 * minute
)

func (o *Options) validate() error {
	if o.Nodes < 1 || o.GPUsPerNode < 1 || o.Duration < 1 || o.Interval < 1 {
		return errors.New("generate: nodes, GPUs, duration and interval must be positive: start from Defaults")
	}
	return nil
}

// averageJob is how long an allocation holds its GPUs in the mean.
func (o *Options) averageJob() int64 { return max(second, min(20*minute, o.Duration/3)) }

func (o *Options) jobs() int {
	if o.Jobs > 0 {
		return o.Jobs
	}
	return int(int64(o.Nodes*o.GPUsPerNode)*o.Duration/o.averageJob())/2 + 1
}

// dice makes choices. Each file has its own, so that what one has more of does
// not change another.
type dice struct {
	*rand.Rand
	opt *Options
}

func newDice(opt *Options, stream uint64) dice {
	return dice{rand.New(rand.NewPCG(opt.Seed, stream)), opt} //nolint:gosec // the same seed must give the same input
}

// chance is true in so many of a hundred cases, when the feature is on.
func (d dice) chance(feature Features, percent int) bool {
	hit := d.IntN(100) < percent
	return hit && d.opt.Features&feature == feature
}

// pick takes one of several.
func pick[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

// between is at least a and less than b, or a.
func (d dice) between(a, b int64) int64 {
	if b <= a {
		return a
	}
	return a + d.Int64N(b-a)
}

// instant is a time of the run, often one at which other things happen too.
func (d dice) instant() int64 {
	o := d.opt
	switch d.IntN(4) {
	case 0:
		return o.Start + d.between(0, o.Duration/o.Interval+1)*o.Interval // with a sample
	case 1:
		return o.Start + d.between(0, o.Duration/minute+1)*minute - o.Start%minute // with a window
	}
	return o.Start + d.between(0, o.Duration)
}

// near is ms or a little later, where other things happen too.
func (d dice) near(ms int64) int64 {
	grain := pick(d, d.opt.Interval, minute)
	steps := (ms - d.opt.Start) / grain
	return d.opt.Start + (steps+d.Int64N(2))*grain
}
