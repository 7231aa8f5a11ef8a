// Command sink measures the sink's path into ClickHouse: records of cost facts
// are decoded, become columns, and are inserted. Beside it stand, in the same
// run and on the same engine, bare inserts of the same blocks encoded
// beforehand: what the server alone costs. A second table inserts the same
// samples as ch-go columns, as ArrowStream and by clickhouse-go's columns, which
// is why ch-go's carry every insert of the sink. It measures no Kafka.
//
//	go run ./benchmarks/sink            tables
//	go run ./benchmarks/sink -check     fails below 0.6 of the bare inserts
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

type options struct {
	facts, samples, block, rounds int
	check                         bool
}

// floor is the share of bare inserts that the project promises.
const floor = 0.6

func main() {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	var o options
	flag.IntVar(&o.facts, "facts", 400_000, "cost facts of a round")
	flag.IntVar(&o.samples, "samples", 400_000, "samples of a round")
	flag.IntVar(&o.block, "block", 100_000, "rows of an insert")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; the fastest of each way counts")
	flag.BoolVar(&o.check, "check", false, "fail below 0.6 of the bare inserts")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "gpumeter-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	engine, err := chdb.Start(ctx, chdb.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Stop(ctx)) }()
	conn, err := clickhouse.Open(engine.DSN())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := clickhouse.Migrate(ctx, conn); err != nil {
		return err
	}
	ratio, err := costTable(ctx, o, engine.DSN(), conn)
	if err != nil {
		return fmt.Errorf("cost facts: %w", err)
	}
	if err := sampleTable(ctx, o, engine, conn); err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	if o.check && ratio < floor {
		return fmt.Errorf("the sink does %.2f of bare inserts, less than %.2f", ratio, floor)
	}
	return nil
}

// quiet empties a table before a round and keeps merges out of it.
func quiet(ctx context.Context, conn driver.Conn, tables ...string) error {
	for _, table := range tables {
		name := clickhouse.Database + "." + table
		for _, query := range []string{"TRUNCATE TABLE " + name + " SYNC", "SYSTEM STOP MERGES " + name} {
			if err := conn.Exec(ctx, query); err != nil {
				return fmt.Errorf("%s: %w", query, err)
			}
		}
	}
	return nil
}

// A way is one way to insert the same rows.
type way struct {
	name string
	run  func(context.Context) error
}

// compare runs every way in turn, round by round, so that whatever else the
// machine does hits all of them, and prints and returns the fastest round of
// each: other work on the machine only ever adds.
func compare(ctx context.Context, rows, rounds int, prepare func() error, ways ...way) ([]time.Duration, error) {
	fastest := make([]time.Duration, len(ways))
	for round := range rounds {
		for i, w := range ways {
			if err := prepare(); err != nil {
				return nil, err
			}
			began := time.Now()
			if err := w.run(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			if spent := time.Since(began); round == 0 || spent < fastest[i] {
				fastest[i] = spent
			}
		}
	}
	for i, w := range ways {
		fmt.Printf("  %-44s %10.0f rows/s  %6.2f µs a row  %5.2f\n", w.name, float64(rows)/fastest[i].Seconds(),
			float64(fastest[i].Nanoseconds())/1000/float64(rows), fastest[0].Seconds()/fastest[i].Seconds())
	}
	fmt.Println()
	return fastest, nil
}
