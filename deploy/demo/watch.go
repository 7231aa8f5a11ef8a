package demo

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// Between two looks at the ledger, and two frames.
const (
	look  = time.Second
	blink = 250 * time.Millisecond
)

// watch asks ClickHouse until ctx ends. A ledger that takes longer to sum is
// asked less often: the view must not take the engine from the pipeline.
func (d *demo) watch(ctx context.Context) {
	for pause := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := d.Now()
		err := d.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		d.mu.Lock()
		d.asked = err
		d.mu.Unlock()
		pause = max(look, 4*d.Now().Sub(began))
	}
}

// ask looks once.
func (d *demo) ask(ctx context.Context) error {
	horizon, known := d.pipeline.Horizon()
	if !known || horizon == 0 {
		return nil
	}
	l, err := ask(ctx, d.pipeline.Conn, time.UnixMilli(horizon).UTC(), d.rules.Window)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ledger = l
	if d.first == 0 && l.Total > 0 {
		d.first = d.Now().Sub(d.began)
	}
	return nil
}

// draw shows a model until ctx ends, and once more then. A display that fails is
// not shown to any more; the demo goes on.
func (d *demo) draw(ctx context.Context) {
	var speed gauge
	ticker := time.NewTicker(blink)
	defer ticker.Stop()
	for {
		if err := d.View.Show(d.model(&speed)); err != nil {
			d.Log.Warn("cannot show the demo", "error", err)
			return
		}
		select {
		case <-ticker.C:
			continue
		case <-ctx.Done():
		}
		_ = d.View.Show(d.model(&speed)) // the last one; the summary follows
		return
	}
}

// model is what there is to show now.
func (d *demo) model(speed *gauge) *Model {
	now := d.Now()
	published := d.out.Stats()
	metered := d.pipeline.Metered()
	m := &Model{
		Source: d.source, Elapsed: now.Sub(d.began), For: d.cfg.For, Speed: d.cfg.Speed,
		Doors: []Door{
			{"ClickHouse", d.pipeline.Stack.HTTP},
			{"native", d.pipeline.Stack.ClickHouse},
			{"Kafka", strings.Join(d.pipeline.Stack.Broker.Brokers, ",")},
		},
		Try: try(cmp.Or(d.Program, "gpumeter"), d.data),
	}
	for _, s := range published.Streams {
		m.Health.Published += s.Acknowledged
	}
	m.Health.SamplesPerSecond = speed.at(now, published.Streams[schemas.StreamSamples].Acknowledged)
	m.Health.Facts = metered.CostRows
	for _, letters := range []map[string]int64{published.DeadLetters, metered.DeadLetters} {
		for _, n := range letters {
			m.Health.DeadLetters += n
		}
	}
	if horizon, known := d.pipeline.Horizon(); known && horizon != 0 {
		m.Health.Lag = time.Duration(d.feed.Reached()-horizon) * time.Millisecond
	}
	if d.said != nil {
		m.Slack, _ = d.said.all()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m.Phase, m.Ledger, m.First = d.phase, d.ledger, d.first
	if d.asked != nil {
		m.Warning = d.asked.Error()
	}
	return m
}

// A gauge tells the speed of a count over the last seconds.
type gauge struct {
	when  time.Time
	count int64
	speed float64
}

// over is the time that a gauge looks back.
const over = 2 * time.Second

func (g *gauge) at(now time.Time, count int64) float64 {
	switch passed := now.Sub(g.when); {
	case g.when.IsZero():
		g.when, g.count = now, count
	case passed >= over:
		g.speed = float64(count-g.count) / passed.Seconds()
		g.when, g.count = now, count
	}
	return g.speed
}
