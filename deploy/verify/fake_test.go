package verify

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// now is the time of every run: 2026-06-30, some weeks after what is generated.
const now = 1_782_777_600_000

// memory is a ledger without a database.
type memory struct {
	records []oracle.Record
	prices  []oracle.Price
	rows    []oracle.Row
	err     error // after the last row
}

func (m *memory) End(context.Context) (int64, error) {
	end := int64(oracle.Absent)
	for _, r := range m.rows {
		end = max(end, r.WindowEnd)
	}
	return end, nil
}

func (m *memory) Records(context.Context) ([]oracle.Record, error) { return m.records, nil }
func (m *memory) Prices(context.Context) ([]oracle.Price, error)   { return m.prices, nil }

func (m *memory) Rows(context.Context) iter.Seq2[oracle.Row, error] {
	return func(yield func(oracle.Row, error) bool) {
		for _, r := range m.rows {
			if !yield(r, nil) {
				return
			}
		}
		if m.err != nil {
			yield(oracle.Row{}, m.err)
		}
	}
}

// world generates an input and the ledger that it should become.
func world(t *testing.T, opt generate.Options) (*memory, Options) {
	t.Helper()
	dir := t.TempDir()
	if _, err := generate.Write(dir, opt); err != nil {
		t.Fatal(err)
	}
	ledger, err := oracle.Recompute(dir, oracle.Defaults(now))
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{rows: slices.Collect(ledger.Rows())}
	m.read(t, dir)
	return m, Options{Input: dir, Oracle: oracle.Defaults(now), Horizon: &ledger.Horizon}
}

// read takes resources and prices from the files, as the pipeline stores them.
func (m *memory) read(t *testing.T, dir string) {
	t.Helper()
	for _, file := range contract.Files() {
		if file.Stream != schemas.StreamResources && file.Stream != schemas.StreamPrices {
			continue
		}
		f, err := os.Open(filepath.Join(dir, file.Name))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }() // nothing was written
		r := contract.NewReader(file, f)
		for {
			err := r.Next()
			if refused := (*contract.Error)(nil); errors.As(err, &refused) {
				continue
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if file.Stream == schemas.StreamPrices {
				m.prices = append(m.prices, priceOf(&r.Price))
			} else {
				m.records = append(m.records, recordOf(&r.Resource))
			}
		}
	}
}

func given(ms int64) int64 {
	if ms == 0 {
		return oracle.Absent
	}
	return ms
}

func priceOf(p *schemas.Price) oracle.Price {
	return oracle.Price{
		Provider: p.Provider, Region: p.Region, SKU: p.SKU, PricingCategory: p.PricingCategory, Currency: p.Currency,
		PerHour: p.PerHour, From: p.From, To: given(p.To), KnownAt: given(p.KnownAt),
	}
}

func recordOf(r *schemas.Resource) oracle.Record {
	record := oracle.Record{
		Node: r.Node, Resource: r.Resource, Cluster: r.Cluster, Provider: r.Provider, Region: r.Region, SKU: r.SKU, GPUModel: r.Model,
		GPUs: r.GPUs, From: r.From, To: given(r.To), PricingCategory: r.PricingCategory, Scheduler: r.Scheduler, IdleWatts: int64(r.IdleWatts),
	}
	if r.IdleWatts == schemas.Absent32 {
		record.IdleWatts = oracle.Absent
	}
	return record
}
