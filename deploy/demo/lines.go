package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Lines shows a demo as lines, for a log or a pipe: what is new at once, and how
// it goes every few seconds.
type Lines struct {
	to    io.Writer
	begun bool
	money bool
	phase string
	slack int
	news  map[string]bool // findings that were told, with what
	next  time.Duration   // when the next status is due
	err   error
}

// NewLines writes to w.
func NewLines(w io.Writer) *Lines { return &Lines{to: w, news: map[string]bool{}} }

// statusEvery is the time between two lines that say how it goes.
const statusEvery = 3 * time.Second

func (l *Lines) line(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintln(l.to, plain(fmt.Sprintf(format, args...)))
	}
}

// Show writes what is new in m.
func (l *Lines) Show(m *Model) error {
	if !l.begun {
		l.begun = true
		l.intro(m)
	}
	if m.First > 0 && !l.money {
		l.money = true
		l.line("first money after %.1fs", m.First.Seconds())
	}
	for _, f := range slices.Backward(m.Ledger.Findings) {
		if key := f.News + " " + f.ID; !l.news[key] {
			l.news[key] = true
			l.line("%-8s %s %s (%s): %s %s burnt, %s an hour", f.News, f.At.UTC().Format("15:04:05"), f.Allocation, person(f.User, f.Team), f.Burnt, f.Currency, f.PerHour)
		}
	}
	for ; l.slack < len(m.Slack); l.slack++ {
		l.line("slack    %s", m.Slack[l.slack])
	}
	if m.Phase != l.phase || m.Elapsed >= l.next {
		l.phase, l.next = m.Phase, m.Elapsed+statusEvery
		l.status(m)
	}
	return l.err
}

func (l *Lines) intro(m *Model) {
	l.line("source: %s at %s×", m.Source, trim(m.Speed))
	for _, d := range m.Doors {
		l.line("open: %s %s", d.Name, d.Address)
	}
	for _, command := range m.Try {
		l.line("try: %s", command)
	}
}

func (l *Lines) status(m *Model) {
	at := "no facts yet"
	if !m.Ledger.At.IsZero() {
		at = m.Ledger.At.UTC().Format("2006-01-02 15:04:05")
	}
	var gpus []string
	var now, wasted Nano
	for i, n := range whole(m.Ledger.States, m.Ledger.GPUs) {
		s := m.Ledger.States[i]
		now += s.PerHour
		if wastes(s.Name) {
			wasted += s.PerHour
		}
		if n > 0 {
			gpus = append(gpus, fmt.Sprintf("%d %s", n, s.Name))
		}
	}
	l.line("%-8s %s | %s | %s an hour, wasting %s | so far %s %s, wasted %s | %s samples/s, lag %s",
		m.Phase, at, strings.Join(gpus, ", "), now, wasted, m.Ledger.Total, m.Ledger.Currency, m.Ledger.Wasted,
		count(int64(m.Health.SamplesPerSecond)), short(m.Health.Lag))
	if m.Warning != "" {
		l.line("warning  %s", m.Warning)
	}
}
