package demo

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/deploy/settings"
	"github.com/gpumeter/gpumeter/deploy/verify"
)

// A Summary says what a demo did and whether its ledger holds.
type Summary struct {
	Source   string
	Data     string // directory that stays, "" = removed
	Truth    string // file of what the fleet did, "" = there is none
	Elapsed  time.Duration
	Horizon  time.Time // of the ledger
	First    time.Duration
	Samples  int64
	Facts    int64
	Ledger   Ledger // as it ended
	Messages int    // that would have been sent
	Recorded int64  // events from which the oracle recomputed the ledger
	Report   verify.Report
}

// OK tells whether the ledger is what it must be.
func (s *Summary) OK() bool { return s.Report.OK() }

// summarize asks once more, when everything is queryable.
func (d *demo) summarize() (*Summary, error) {
	if err := d.ask(d.life); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &Summary{
		Source: d.source, Data: d.cfg.Data, Elapsed: d.Now().Sub(d.began), Horizon: time.UnixMilli(d.horizon).UTC(), First: d.first,
		Samples: d.out.Stats().Streams["samples"].Acknowledged, Facts: d.pipeline.Metered().CostRows, Ledger: d.ledger, Recorded: d.tape.Rows(),
	}
	if d.said != nil {
		_, s.Messages = d.said.all()
	}
	if sim, ok := d.feed.(*simulation); ok {
		s.Truth = sim.truth.Name()
	}
	return s, nil
}

// judge recomputes the ledger from the recorded events, another way, and holds it
// to that, row by row. The stages have stopped.
func (d *demo) judge(s *Summary) (err error) {
	last := settings.Last{Horizon: d.horizon, Named: true, At: d.Now().UnixMilli()}
	if err := settings.KeepLast(d.data, last); err != nil {
		return err
	}
	s.Report, err = verify.Ledger(d.life, d.pipeline.Conn, verify.Options{
		Input: d.path("events"), Horizon: &last.Horizon,
		Oracle: oracle.Options{
			Now: last.At, Until: &last.Horizon, Window: d.rules.Window.Milliseconds(), Epsilon: int64(d.rules.Engine().Epsilon),
			IdleMemory: int64(min(d.rules.Idle.MemoryBytes, math.MaxInt64)), From: int64(d.rules.Ledger.From),
		},
	})
	return err
}

// Print writes s for a person.
func (s *Summary) Print(to io.Writer) error {
	p := printer{to: to}
	p.line("%s: %s, up to %s", s.Source, short(s.Elapsed), s.Horizon.Format("2006-01-02 15:04:05 UTC"))
	if s.First > 0 {
		p.line("first money after %.1fs", s.First.Seconds())
	}
	p.line("%s samples, %s cost facts", count(s.Samples), count(s.Facts))
	for _, state := range s.Ledger.States {
		if state.Cost != 0 {
			p.line("  %-12s %16s %s", state.Name, state.Cost, s.Ledger.Currency)
		}
	}
	p.line("  %-12s %16s %s, of which %s wasted", "in all", s.Ledger.Total, s.Ledger.Currency, s.Ledger.Wasted)
	p.findings(s)
	if s.Truth != "" {
		p.line("what the fleet did, the truth: %s", s.Truth)
	}
	if s.Data != "" {
		p.line("the ledger: %s (gpumeter query --data %s …; gpumeter verify --data %s --input %s/events)", s.Data, s.Data, s.Data, s.Data)
	}
	p.line("recomputed from the %s events that the source said, another way, and compared row by row:", count(s.Recorded))
	if p.err == nil {
		_, p.err = fmt.Fprint(to, &s.Report)
	}
	return p.err
}

type printer struct {
	to  io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format+"\n", args...)
	}
}

func (p *printer) findings(s *Summary) {
	l := &s.Ledger
	if l.Opened > 0 {
		p.line("findings: %d opened, %d alerts, %d resolved; %d messages for Slack", l.Opened, l.Alerts, l.Resolved, s.Messages)
	}
	for _, i := range l.Idle[:min(len(l.Idle), 5)] {
		p.line("  still idle since %s: %s (%s), %s %s burnt, %s an hour", i.Since.UTC().Format("15:04"), i.Allocation, person(i.User, i.Team),
			i.Burnt, cmp.Or(i.Currency, "unpriced"), i.PerHour)
	}
}
