package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"log/slog"
	"reflect"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A cell is what a cost message is about.
type cell struct {
	node, resource, gpu string
	window              int64 // Unix ms
}

func (c cell) String() string {
	return fmt.Sprintf("node=%s resource=%s gpu=%s window=%d", c.node, c.resource, c.gpu, c.window)
}

func (c cell) compare(o cell) int {
	return cmp.Or(cmp.Compare(c.node, o.node), cmp.Compare(c.resource, o.resource), cmp.Compare(c.gpu, o.gpu), cmp.Compare(c.window, o.window))
}

// A revision is one message about a cell.
type revision struct {
	offset   int64
	finality uint8
	stored   stored
	digest   uint64 // of all that a reader of the ledger sees of it
	empty    bool   // the cell lost all its rows
}

// What ClickHouse must have of a revision.
type stored struct {
	rows  uint64
	gpuMs int64
}

// published is what the committed part of the topics says, apart from the sink.
type published struct {
	cells    map[cell][]revision // in the order of the topic
	findings map[finding]int     // how often
}

type finding struct {
	id       string
	revision int64
}

// readPublished reads the topics of cost and findings as they are.
func (p *pipeline) readPublished(ctx context.Context) (*published, error) {
	all := &published{cells: map[cell][]revision{}, findings: map[finding]int{}}
	var decoder wire.CostDecoder
	defer decoder.Close()
	var costs schemas.Costs
	err := p.read(ctx, schemas.StreamCost, func(rec *kgo.Record) error {
		if err := decoder.Decode(&costs, rec); err != nil {
			return err
		}
		all.add(&costs, rec.Offset)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, p.read(ctx, schemas.StreamFindings, func(rec *kgo.Record) error {
		rows, err := wire.Decode[schemas.Finding](nil, rec)
		for i := range rows {
			all.findings[finding{rows[i].Finding, rows[i].Revision}]++
		}
		return err
	})
}

// read hands over every committed record of a stream.
func (p *pipeline) read(ctx context.Context, stream string, each func(*kgo.Record) error) error {
	topic := schemas.Prefix + stream
	starts, ends, err := member.Ends(ctx, p.admin, topic, slog.Default())
	if err != nil {
		return err
	}
	spans := map[int32]member.Span{}
	for n, end := range ends {
		spans[n] = member.Span{From: starts[n], To: end}
	}
	opts, err := broker.Config{Brokers: p.cluster.Direct()}.Options("gpumeter-chaos-judge")
	if err != nil {
		return err
	}
	return member.Read(ctx, opts, topic, spans, each)
}

// add takes the cells of one message in.
func (all *published) add(c *schemas.Costs, offset int64) {
	for from := 0; from < c.Len(); {
		key := cellAt(c, from)
		to := from + 1
		for to < c.Len() && cellAt(c, to) == key {
			to++
		}
		r := revision{offset: offset, finality: c.Finality[from], empty: c.State[from] == 0, digest: digest(c, from, to)}
		r.stored.rows = uint64(to - from)
		for _, ms := range c.GPUMs[from:to] {
			r.stored.gpuMs += ms
		}
		all.cells[key] = append(all.cells[key], r)
		from = to
	}
}

func cellAt(c *schemas.Costs, i int) cell {
	return cell{text(&c.Node, i), text(&c.Resource, i), text(&c.GPU, i), c.Window[i]}
}

func text(t *schemas.Text, i int) string { return t.Dict[t.Index[i]] }

// digest is of every column of rows from..to but restated, which says how often a
// cell was published.
func digest(c *schemas.Costs, from, to int) uint64 {
	h := fnv.New64a()
	columns := reflect.ValueOf(c).Elem()
	for i := range columns.NumField() {
		switch name := columns.Type().Field(i).Name; name {
		case "Restated", "RunsEnd":
		case "Runs":
			begin := uint32(0)
			if from > 0 {
				begin = c.RunsEnd[from-1]
			}
			write(h, c.Runs[begin:c.RunsEnd[to-1]])
		default:
			if t, ok := columns.Field(i).Addr().Interface().(*schemas.Text); ok {
				for k := from; k < to; k++ {
					_, _ = h.Write(append([]byte(text(t, k)), 0))
				}
				continue
			}
			write(h, columns.Field(i).Slice(from, to).Interface())
		}
	}
	return h.Sum64()
}

// write adds a slice of integers, and its end.
func write(h hash.Hash64, integers any) {
	_ = binary.Write(h, binary.LittleEndian, integers) // neither can fail
	_, _ = h.Write([]byte{0xff})
}

// order is the cells as a person reads them.
func (all *published) order() []cell {
	keys := make([]cell, 0, len(all.cells))
	for key := range all.cells {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, cell.compare)
	return keys
}

// repeated is the first cell that was published twice as the same: a transaction
// that was repeated without the first having been undone.
func (all *published) repeated() string {
	for _, key := range all.order() {
		list := all.cells[key]
		for i := 1; i < len(list); i++ {
			a, b := list[i-1], list[i]
			if a.finality == b.finality && a.digest == b.digest {
				return fmt.Sprintf("%s was published at offset %d and, unchanged, again at %d", key, a.offset, b.offset)
			}
		}
	}
	for f, times := range all.findings {
		if times != 1 {
			return fmt.Sprintf("finding %s revision %d was published %d times", f.id, f.revision, times)
		}
		if f.revision > 1 && all.findings[finding{f.id, f.revision - 1}] == 0 {
			return fmt.Sprintf("finding %s has a revision %d, but no %d", f.id, f.revision, f.revision-1)
		}
	}
	return ""
}

// revisions counts those that the history must have.
func (all *published) revisions() (n int) {
	for _, list := range all.cells {
		for _, r := range list {
			if r.finality != schemas.FinalityEarly {
				n++
			}
		}
	}
	return n
}
