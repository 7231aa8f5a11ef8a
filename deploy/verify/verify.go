package verify

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// Options say what a ledger is checked against.
type Options struct {
	Input   string         // directory that the ledger was made from; empty = conservation only
	Oracle  oracle.Options // what the ledger was made with; Until as in the replay
	Horizon *int64         // Unix ms, where it is known without the input; nil = the end of the ledger's last row
}

// A Source is where rows, resources and prices come from.
type Source interface {
	// End is the end of the last row in Unix ms; oracle.Absent when there is none.
	End(ctx context.Context) (int64, error)
	Records(ctx context.Context) ([]oracle.Record, error)
	Prices(ctx context.Context) ([]oracle.Price, error)
	// Rows yields every row of cost in the order of oracle.Row.Compare. The first
	// error ends it.
	Rows(ctx context.Context) iter.Seq2[oracle.Row, error]
}

// Ledger checks the ledger in the database gpumeter of conn. The error is about
// reading; what is broken is in the report.
func Ledger(ctx context.Context, conn driver.Conn, opt Options) (Report, error) {
	return Run(ctx, database{conn}, opt)
}

// Run checks the ledger of a source: see Ledger.
func Run(ctx context.Context, from Source, opt Options) (Report, error) {
	var recomputed *oracle.Ledger
	if opt.Input != "" {
		var err error
		if recomputed, err = oracle.Recompute(opt.Input, opt.Oracle); err != nil {
			return Report{}, fmt.Errorf("verify: %w", err)
		}
	}
	horizon, err := horizonOf(ctx, from, opt, recomputed)
	if err != nil {
		return Report{}, fmt.Errorf("verify: find the horizon: %w", err)
	}
	paid, err := paidFor(ctx, from, horizon, opt.Oracle)
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	checks := []check{newOrder(), newTiling(paid, opt.Oracle.Window), newPricing(paid, opt.Oracle.Window), newConservation(paid)}
	if recomputed != nil {
		checks = append(checks, newComparison(recomputed.Rows()))
	}
	for _, c := range checks {
		defer c.stop()
	}
	report := Report{Horizon: time.UnixMilli(horizon).UTC()}
	if err := report.read(ctx, from, checks); err != nil {
		return report, fmt.Errorf("verify: read cost: %w", err)
	}
	return report, nil
}

// read takes every row to every check.
func (r *Report) read(ctx context.Context, from Source, checks []check) error {
	for row, err := range from.Rows(ctx) {
		if err != nil {
			return err
		}
		r.Rows++
		for _, c := range checks {
			c.row(&row)
			r.notice(c.result())
		}
	}
	for _, c := range checks {
		c.end()
		r.notice(c.result())
		r.Checks = append(r.Checks, *c.result())
		r.Violations += c.result().Violations
	}
	return nil
}

// notice keeps the violation that came first.
func (r *Report) notice(c *Check) {
	if r.First == nil && c.First != nil {
		r.First = c.First
	}
}

// A check sees every row once, in order, and then the end.
type check interface {
	row(r *oracle.Row)
	end()
	stop() // whether or not the end was reached
	result() *Check
}

func horizonOf(ctx context.Context, from Source, opt Options, recomputed *oracle.Ledger) (int64, error) {
	switch {
	case recomputed != nil:
		return recomputed.Horizon, nil
	case opt.Horizon != nil:
		return *opt.Horizon, nil
	case opt.Oracle.Until != nil:
		return *opt.Oracle.Until, nil
	}
	return from.End(ctx)
}

func paidFor(ctx context.Context, from Source, horizon int64, opt oracle.Options) (*paid, error) {
	records, err := from.Records(ctx)
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	prices, err := from.Prices(ctx)
	if err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	return newPaid(oracle.FromTables(records, prices, horizon, opt)), nil
}
