package oracle

import (
	"cmp"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
)

const hour = 3_600_000 // ms

// Options are what the ledger depends on besides its input.
type Options struct {
	Until      *int64 // horizon in Unix ms; nil = the largest event time of the input
	Now        int64  // time of the run in Unix ms: events more than ten minutes later are refused
	Window     int64  // ms
	Epsilon    int64  // ppm: activity above this is work
	IdleMemory int64  // bytes: from this much on, memory is resident
	From       int64  // Unix ms: no resource exists before; 0 = each from its own beginning
}

// Defaults are the options of a run at now, in Unix ms, with nothing configured.
func Defaults(now int64) Options {
	return Options{Now: now, Window: 60_000, Epsilon: 10_000, IdleMemory: 1 << 30}
}

// A Ledger is what the rules make of a set of events at a horizon.
type Ledger struct {
	Horizon int64          // Unix ms
	Refused map[string]int // lines that are dead letters, by file

	opt         Options
	allocations map[string]*allocation
	holds       map[device][]hold
	samples     map[series][]sample
	records     map[string][]*record // by resource, in order of from
	onDevice    map[device][]*record
	prices      map[priceKey][]priceSpan
	tags        []rule
}

// Recompute reads the input directory dir. Rows are computed when they are
// asked for. A line that cannot be read is counted in Refused; the error is
// about dir itself or about opt.
func Recompute(dir string, opt Options) (*Ledger, error) {
	if opt.Window <= 0 {
		return nil, errors.New("oracle: the window must be at least a millisecond: start from Defaults")
	}
	in, err := readDir(dir, opt.Now)
	if err != nil {
		return nil, err
	}
	horizon := in.latest
	if opt.Until != nil {
		horizon = *opt.Until
	}
	l := &Ledger{Horizon: horizon, Refused: in.refused, opt: opt, prices: priceSpans(in.prices), tags: distinctRules(in.tags)}
	l.samples = samplesBefore(in.samples, horizon)
	l.allocations = foldAllocations(in.events, horizon)
	l.holds = holdsByDevice(l.allocations)
	l.setRecords(in.records)
	return l, nil
}

// FromTables makes a ledger of what is paid for only: without allocations and
// samples, for Stays and the prices. Records and prices need no order.
func FromTables(records []Record, prices []Price, horizon int64, opt Options) *Ledger {
	l := &Ledger{Horizon: horizon, opt: opt, prices: priceSpans(prices)}
	l.setRecords(records)
	return l
}

func (l *Ledger) setRecords(records []Record) {
	l.records = recordsByResource(records, l.opt.From, l.Horizon)
	l.onDevice = map[device][]*record{}
	for _, list := range l.records {
		for _, r := range list {
			for _, gpu := range r.GPUs {
				d := device{r.Node, gpu}
				l.onDevice[d] = append(l.onDevice[d], r)
			}
		}
	}
}

// Rows yields every row of the ledger in the order of resource, gpu,
// window_start, window_end, slice, allocation (texts by bytes) and state.
func (l *Ledger) Rows() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for _, resource := range slices.Sorted(maps.Keys(l.records)) {
			for _, gpu := range gpusOf(l.records[resource]) {
				for _, row := range l.rowsOf(l.records[resource], gpu) {
					if !yield(row) {
						return
					}
				}
			}
		}
	}
}

// gpusOf lists every GPU that any of the records has, each once.
func gpusOf(records []*record) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.GPUs...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// rowsOf computes the rows of one GPU on one resource.
func (l *Ledger) rowsOf(records []*record, gpu string) []Row {
	var rows []Row
	for _, r := range records {
		if !slices.Contains(r.GPUs, gpu) {
			continue
		}
		for _, p := range l.pieces(r, gpu) {
			rows = append(rows, l.pieceRows(r, gpu, p)...)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return a.Compare(&b) })
	return rows
}

// Compare orders rows as Ledger.Rows yields them; rows with one key are equal.
func (r *Row) Compare(o *Row) int {
	return cmp.Or(
		strings.Compare(r.Resource, o.Resource), strings.Compare(r.GPU, o.GPU),
		cmp.Compare(r.WindowStart, o.WindowStart), cmp.Compare(r.WindowEnd, o.WindowEnd),
		strings.Compare(r.Slice, o.Slice), strings.Compare(r.Allocation, o.Allocation),
		cmp.Compare(r.State, o.State))
}
