package replay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gpumeter/gpumeter/collector/publish"
)

// A watch holds what the progress line and the summary say of a replay's course.
// The times are written by the replay's goroutine and read when it is done.
type watch struct {
	began     time.Time
	published time.Time // when everything was acknowledged
	metered   time.Time // when the tick was applied
	stored    time.Time // when the sink was at the end

	mu    sync.Mutex
	input func() publish.Stats // nil before the collector has started
}

func (w *watch) collector(stats func() publish.Stats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.input = stats
}

// acknowledged are the rows that the brokers have so far.
func (w *watch) acknowledged() (rows int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.input == nil {
		return 0
	}
	for _, stream := range w.input().Streams {
		rows += stream.Acknowledged
	}
	return rows
}

func sum(counts map[string]int64) (total int64) {
	for _, n := range counts {
		total += n
	}
	return total
}

// every is the time between two lines of progress.
const every = 3 * time.Second

// progress writes a line every few seconds until the returned function is called.
func (r *replay) progress() (stop func()) {
	if r.Progress == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(r.pipeline.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				fmt.Fprintln(r.Progress, r.line())
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func (r *replay) line() string {
	m := r.pipeline.Metered()
	return fmt.Sprintf("published %s rows, metered %s, cost facts %s, stored %s",
		thousands(r.watch.acknowledged()), thousands(sum(m.Rows)), thousands(m.CostRows), thousands(sum(r.pipeline.Stored().Rows)))
}

// summarize says what came of it. The stages have stopped.
func (r *replay) summarize(ctx context.Context) (*Summary, error) {
	m := r.pipeline.Metered()
	s := &Summary{
		Data: r.cfg.Stack.Data, Horizon: r.horizon, Seconds: r.watch.stored.Sub(r.watch.began).Seconds(),
		Stages: []Stage{
			newStage("collector: rows published", r.watch.acknowledged(), r.watch.published.Sub(r.watch.began)),
			newStage("processor: rows read", sum(m.Rows), r.watch.metered.Sub(r.watch.began)),
			newStage("processor: cost facts written", m.CostRows, r.watch.metered.Sub(r.watch.began)),
			newStage("sink: rows stored", sum(r.pipeline.Stored().Rows), r.watch.stored.Sub(r.watch.began)),
		},
		DeadLetters: map[string]int64{}, Ignored: ignored(r.published.Ignored),
	}
	for _, letters := range []map[string]int64{r.published.DeadLetters, m.DeadLetters} {
		for reason, n := range letters {
			s.DeadLetters[reason] += n
		}
	}
	var err error
	if s.Totals, err = totals(ctx, r.pipeline.Conn); err != nil {
		return nil, err
	}
	s.PeakMemory = peakMemory()
	return s, nil
}
