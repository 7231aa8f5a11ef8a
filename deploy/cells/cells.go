// Package cells makes a ledger of what is published to gpumeter.cost: the newest
// revision of every cell, in the oracle's terms, so that the two can be compared
// without a database. It notices a revision that says nothing new, which an engine
// never publishes. It neither reads Kafka nor decodes.
package cells

import (
	"reflect"
	"slices"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/schemas"
)

// A Ledger is the newest revision of every cell. It is an engine.Output.
type Ledger struct {
	cells     map[key]cell
	revisions int
	repeated  int
}

type key struct {
	node, resource, gpu string
	window              int64
}

type cell struct {
	finality, restated uint8
	rows               []oracle.Row
}

// New is a ledger without cells.
func New() *Ledger { return &Ledger{cells: map[key]cell{}} }

// Costs replaces the cells of a batch. Batches come in the order of their partition.
func (l *Ledger) Costs(b *schemas.Costs) {
	fresh := map[key]cell{}
	for i := range b.Len() {
		k := key{at(b.Node, i), at(b.Resource, i), at(b.GPU, i), b.Window[i]}
		c := fresh[k]
		c.finality, c.restated = b.Finality[i], b.Restated[i]
		if b.State[i] != 0 {
			c.rows = append(c.rows, row(b, i))
		}
		fresh[k] = c
	}
	for k, c := range fresh {
		l.revisions++
		if had, ok := l.cells[k]; ok && reflect.DeepEqual(had, c) {
			l.repeated++
		}
		l.cells[k] = c
	}
}

// Report ignores dead letters: they are not part of the ledger.
func (l *Ledger) Report(schemas.DeadLetter) {}

// Activity ignores activity, too.
func (l *Ledger) Activity([]schemas.Activity) {}

// Revisions is how many revisions of cells there were.
func (l *Ledger) Revisions() int { return l.revisions }

// Repeated is how many revisions were what their cell was already.
func (l *Ledger) Repeated() int { return l.repeated }

// Rows are the rows that stand, in the oracle's order.
func (l *Ledger) Rows() []oracle.Row {
	var all []oracle.Row
	for _, c := range l.cells {
		all = append(all, c.rows...)
	}
	slices.SortFunc(all, func(a, b oracle.Row) int { return a.Compare(&b) })
	return all
}

func at(t schemas.Text, i int) string { return t.Dict[t.Index[i]] }
