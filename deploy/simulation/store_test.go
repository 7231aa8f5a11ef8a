//go:build synctests

package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// A store stands in for ClickHouse: it keeps the newest version of each cell, as
// the table cells does, and nothing of the other tables. To verify it is the ledger.
type store struct {
	mu      sync.Mutex
	cells   map[cellKey]cell
	texts   map[string]string         // one copy of each
	labels  map[string][]oracle.Label // likewise, by their text
	inserts int
	broken  []string // what no server should ever see

	// away makes inserts fail: before they are stored, or after, when only the
	// acknowledgement is lost.
	away, lossy bool
	traps       []*trap

	records []oracle.Record
	prices  []oracle.Price
}

type cellKey struct {
	node, resource, gpu string
	window              int64
}

type cell struct {
	version         uint64
	early, restated bool
	rows            []oracle.Row
}

func newStore() *store {
	return &store{cells: map[cellKey]cell{}, texts: map[string]string{}, labels: map[string][]oracle.Label{}}
}

func (s *store) set(away, lossy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.lossy = away, lossy
}

// A session is how one sink reaches the store: by the cable that it reaches the
// brokers by. An insert takes a while, so that a sink may die before it or after it.
type session struct {
	store *store
	cable *cable
	name  string // of the sink
}

const insertTakes = time.Second // at most

// Insert is insert.Inserter's.
func (s session) Insert(_ context.Context, table string, input proto.Input) error {
	time.Sleep(rand.N(insertTakes))
	vital := s.store.trapped() && final(table, input)
	if vital {
		s.perish(false)
	}
	if s.cable.isCut() {
		return refused()
	}
	err := s.store.insert(table, input)
	if vital && err == nil {
		s.perish(true)
	}
	time.Sleep(rand.N(insertTakes))
	if s.cable.isCut() {
		return refused()
	}
	return err
}

// Close is insert.Inserter's. Whoever hands an inserter to a sink closes it.
func (session) Close() error { return errors.New("a sink closed what is not its own") }

func (s *store) insert(table string, input proto.Input) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inserts++
	if s.away {
		return fmt.Errorf("the store is away: %w", io.ErrUnexpectedEOF)
	}
	if table == clickhouse.TableCells {
		b, err := decode(input)
		if err != nil {
			return err
		}
		s.put(b)
	}
	if s.lossy && rand.IntN(2) == 0 {
		return fmt.Errorf("the acknowledgement is lost: %w", io.ErrUnexpectedEOF)
	}
	return nil
}

// put is what the table's engine does: of one key the greatest version stays, and
// of equal ones either.
func (s *store) put(b block) {
	ofRows := b.within(clickhouse.RowPrefix)
	for i := range b.rows {
		k := cellKey{s.one(b.text("node", i)), s.one(b.text("resource", i)), s.one(b.text("gpu", i)), b.number("window", i)}
		c := cell{version: uint64(b.number("version", i)), early: b.number("finality", i) == 0, restated: b.number("restated", i) != 0}
		had, known := s.cells[k]
		if known && c.version < had.version {
			continue // a redelivery of what has been replaced
		}
		c.rows = s.rows(ofRows, i, k)
		if known {
			s.compare(k, had, c)
		}
		s.cells[k] = c
	}
}

// compare looks for what exactly-once output excludes.
func (s *store) compare(k cellKey, had, c cell) {
	same := had.early == c.early && had.restated == c.restated && reflect.DeepEqual(had.rows, c.rows)
	switch {
	case c.version == had.version && !same:
		s.broken = append(s.broken, fmt.Sprintf("cell %+v: version %d has two contents", k, c.version))
	case c.version > had.version && same:
		s.broken = append(s.broken, fmt.Sprintf("cell %+v: published twice alike, as versions %d and %d", k, had.version, c.version))
	}
}

// unfinished gives the cells whose final revision is missing, once all windows are
// final: mostly it says what the last early one did, so that the ledger would not tell.
func (s *store) unfinished() (wrong []string) {
	for k, c := range s.cells {
		if c.early && len(c.rows) > 0 {
			wrong = append(wrong, fmt.Sprintf("cell %+v: still early, as version %d", k, c.version))
		}
	}
	slices.Sort(wrong)
	return wrong
}

func (s *store) one(text string) string {
	if known, ok := s.texts[text]; ok {
		return known
	}
	text = strings.Clone(text)
	s.texts[text] = text
	return text
}

func (b block) text(name string, row int) string  { return b.columns[name].texts[row] }
func (b block) number(name string, row int) int64 { return b.columns[name].numbers[row] }

// within is the part of a block whose columns have a prefix, which their names lose.
func (b block) within(prefix string) block {
	part := block{rows: b.rows, columns: map[string]column{}}
	for name, c := range b.columns {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			part.columns[short] = c
		}
	}
	return part
}

// rows reads the rows of a cell, of a block that has their columns only, in the oracle's terms.
func (s *store) rows(b block, cellRow int, k cellKey) []oracle.Row {
	from, to := b.columns["state"].of(cellRow)
	rows := make([]oracle.Row, 0, to-from)
	for at := from; at < to; at++ {
		text := func(name string) string { return s.one(b.text(name, at)) }
		number := func(name string) int64 { return b.number(name, at) }
		reported := func(name string) int64 {
			if v := number(name); v != int64(schemas.Absent32) && v != -1 {
				return v
			}
			return oracle.Absent
		}
		r := oracle.Row{
			WindowStart: number("window_start"), WindowEnd: number("window_end"), Resource: k.resource, GPU: k.gpu,
			Slice: text("slice"), Allocation: text("allocation"), State: oracle.State(number("state")),
			Cluster: text("cluster"), Node: k.node, Provider: text("provider"), Region: text("region"), SKU: text("sku"), GPUModel: text("gpu_model"),
			User: text("user"), Name: text("name"), Namespace: text("namespace"),
			Team: text("team"), Project: text("project"), CostCenter: text("cost_center"), Environment: text("environment"),
			Model: text("model"), ModelVersion: text("model_version"), Phase: text("phase"), Labels: s.labelled(text("labels")),
			Attribution: [...]string{"none", "exclusive", "given", "equal", "slice"}[number("attribution")],
			GPUMs:       number("gpu_ms"), UsedGPUMs: number("used_gpu_ms"),
			Utilization: reported("utilization_avg"), SMActive: reported("sm_active_avg"),
			MemoryMax: reported("memory_used_max_bytes"), Energy: reported("energy_joules"),
			Priced: number("price_status") == int64(schemas.Priced), Currency: text("currency"), PriceID: text("price_id"),
			PositionFrom: number("position_from"), PositionTo: number("position_to"),
		}
		if r.Priced {
			r.ListCost, r.EffectiveCost, r.UsedCost, r.WasteCost = number("list_cost"), number("effective_cost"), number("used_cost"), number("waste_cost")
		}
		runs := b.columns["runs"]
		begin := 0
		if at > 0 {
			begin = runs.inner[at-1]
		}
		r.Runs = runs.numbers[begin:runs.inner[at]:runs.inner[at]]
		rows = append(rows, r)
	}
	return rows
}

// labelled is labels, read once for each text.
func (s *store) labelled(text string) []oracle.Label {
	list, known := s.labels[text]
	if !known {
		list = labels(text)
		s.labels[text] = list
	}
	return list
}

// labels reads a JSON object; a text that is none gives a label that no input has.
func labels(text string) []oracle.Label {
	if text == "" {
		return nil
	}
	var object map[string]string
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return []oracle.Label{{Key: "not JSON", Value: text}}
	}
	var list []oracle.Label
	for _, k := range slices.Sorted(maps.Keys(object)) {
		list = append(list, oracle.Label{Key: k, Value: object[k]})
	}
	return list
}

// Rows is verify.Source's, as the other methods below.
func (s *store) Rows(context.Context) iter.Seq2[oracle.Row, error] {
	var all []*oracle.Row
	for _, c := range s.cells {
		for i := range c.rows {
			all = append(all, &c.rows[i])
		}
	}
	slices.SortFunc(all, func(a, b *oracle.Row) int { return a.Compare(b) })
	return func(yield func(oracle.Row, error) bool) {
		for _, r := range all {
			if !yield(*r, nil) {
				return
			}
		}
	}
}

func (s *store) End(context.Context) (int64, error) {
	end := int64(oracle.Absent)
	for _, c := range s.cells {
		for i := range c.rows {
			end = max(end, c.rows[i].WindowEnd)
		}
	}
	return end, nil
}

func (s *store) Records(context.Context) ([]oracle.Record, error) { return s.records, nil }
func (s *store) Prices(context.Context) ([]oracle.Price, error)   { return s.prices, nil }
