package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const (
	window = time.Minute
	look   = 50 * time.Millisecond // between two looks: the resolution of the second figure
)

// A closing is how late a window's cells could be queried, cell by cell.
type closing struct {
	window time.Time
	late   []time.Duration
}

// watch asks, again and again, how many cells of the window that closed last are
// there. It gives what it saw of windows that were wholly in the run, when ctx ends.
func watch(ctx context.Context, conn driver.Conn, grace time.Duration, gpus int) <-chan []closing {
	out := make(chan []closing, 1)
	go func() {
		var all []closing
		first := time.Now().Truncate(window).Add(window)
		ticker := time.NewTicker(look)
		defer ticker.Stop()
		for w := first; ; w = w.Add(window) {
			c, whole := follow(ctx, conn, w, w.Add(window+grace), gpus, ticker.C)
			if whole {
				all = append(all, c)
			}
			if ctx.Err() != nil {
				out <- all
				return
			}
		}
	}()
	return out
}

// follow looks at one window until all of its cells are final.
func follow(ctx context.Context, conn driver.Conn, w, closes time.Time, gpus int, tick <-chan time.Time) (closing, bool) {
	c := closing{window: w}
	for len(c.late) < gpus {
		select {
		case <-ctx.Done():
			return c, false
		case <-tick:
		}
		if time.Now().Before(closes) {
			continue
		}
		var n uint64
		err := conn.QueryRow(ctx, "SELECT uniqExact(node, gpu) FROM gpumeter.cells WHERE window = ? AND finality = 'final'", w).Scan(&n)
		if err != nil {
			return c, false
		}
		late := time.Since(closes)
		for len(c.late) < int(n) {
			c.late = append(c.late, late)
		}
	}
	return c, true
}

// percentile of durations.
func percentile(all []time.Duration, p float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(p*float64(len(all))))]
}

func report(o options, l *load, alerts []time.Duration, windows []closing) error {
	var cells []time.Duration
	for _, c := range windows {
		cells = append(cells, c.late...)
	}
	fmt.Printf("%d GPUs at 1 Hz in %d messages a second for %d s; %.0f%% of the jobs idle all the time\n\n", l.nodes*gpusOfNode, l.nodes, l.total(), 100*o.idle)
	fmt.Printf("%-52s %8s %8s %8s %8s\n", "", "n", "p50", "p99", "max")
	for _, r := range []struct {
		name string
		all  []time.Duration
	}{{"append of the deciding sample to Slack", alerts}, {fmt.Sprintf("close of a window to queryable (%d windows)", len(windows)), cells}} {
		fmt.Printf("%-52s %8d %8s %8s %8s\n", r.name, len(r.all), short(percentile(r.all, 0.5)), short(percentile(r.all, 0.99)), short(percentile(r.all, 1)))
	}
	if !o.check {
		return nil
	}
	if p := percentile(alerts, 0.99); p > alertWithin {
		return fmt.Errorf("alerts take %v, more than %v", p, alertWithin)
	}
	if p := percentile(cells, 0.99); len(cells) == 0 || p > windowWithin {
		return fmt.Errorf("windows take %v, more than %v", p, windowWithin)
	}
	return nil
}

func short(d time.Duration) string { return d.Round(time.Millisecond).String() }
