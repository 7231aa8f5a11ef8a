package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"
)

// The least that a frame is drawn for; a smaller terminal shows a part of it. One
// that is not roomy gets no empty lines and less of a foot.
const (
	minWidth  = 60
	minHeight = 22
	roomy     = 32
)

// frame draws m for a terminal of width columns and height rows: at most height
// lines, none wider than width. Styles are SGR sequences, or nothing.
func frame(m *Model, width, height int, s styles) []string {
	v := view{m: m, width: max(width, minWidth), roomy: height >= roomy, s: s}
	v.head()
	v.fleet()
	v.money()
	foot := v.foot()
	v.lists(max(height, minHeight) - len(v.lines) - len(foot))
	return append(v.lines, foot...)
}

// A view is a frame in the making.
type view struct {
	m     *Model
	width int
	roomy bool
	s     styles
	lines []string
}

func (v *view) line(parts ...string) { v.lines = append(v.lines, strings.Join(parts, "")) }

// gap separates parts where there is room.
func (v *view) gap() {
	if v.roomy {
		v.line()
	}
}

// A styled is a text in a style.
type styled struct {
	style func(string) string
	text  string
}

// cut is a line that ends where the terminal does.
func (v *view) cut(all ...styled) {
	var b strings.Builder
	left := v.width
	for _, s := range all {
		text := displaywidth.TruncateString(s.text, left, "")
		left -= displaywidth.String(text)
		b.WriteString(s.style(text))
	}
	v.line(b.String())
}

// head is one line: what runs, and the two clocks.
func (v *view) head() {
	m := v.m
	left := " gpumeter · " + m.Source
	clock := "no facts yet"
	if !m.Ledger.At.IsZero() {
		clock = m.Ledger.At.UTC().Format("2006-01-02 15:04:05") + " UTC"
	}
	run := short(m.Elapsed)
	if m.For > 0 {
		run += " of " + short(m.For)
	}
	right := fmt.Sprintf("%s · %s× · %s · %s ", clock, trim(m.Speed), m.Phase, run)
	v.line(v.s.title(fit(left, v.width-displaywidth.String(right)) + right))
	v.gap()
}

// fleet is the bar of GPUs by state, with a legend that has the counts.
func (v *view) fleet() {
	counts := whole(v.m.Ledger.States, v.m.Ledger.GPUs)
	bar := v.width - 2
	var b strings.Builder
	for i, cells := range proportional(counts, bar) {
		b.WriteString(v.s.state(i, strings.Repeat(glyphs()[i], cells)))
	}
	v.line(" ", b.String())
	var legend strings.Builder
	used := 1
	for i, s := range v.m.Ledger.States {
		if counts[i] == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", counts[i], s.Name)
		if used += displaywidth.String(text) + 5; used > v.width {
			break
		}
		legend.WriteString(" " + v.s.state(i, glyphs()[i]) + " " + text + "  ")
	}
	v.line(legend.String())
	v.gap()
}

// money is a row a state: how many GPUs, money per hour now, and so far.
func (v *view) money() {
	l := &v.m.Ledger
	currency := l.Currency
	if l.Others > 0 {
		currency += fmt.Sprintf(" (and %d more)", l.Others)
	}
	v.line(v.s.dim(cut(fmt.Sprintf(" %-12s %9s %16s %18s", "STATE", "GPUS", "PER HOUR NOW", strings.TrimSpace("SO FAR "+currency)), v.width)))
	var now, wasted Nano
	for i, s := range l.States {
		if s.GPUs == 0 && s.Cost == 0 {
			continue
		}
		now += s.PerHour
		if wastes(s.Name) {
			wasted += s.PerHour
		}
		row := fmt.Sprintf("%-12s %9.1f %16s %18s", s.Name, s.GPUs, s.PerHour, s.Cost)
		v.line(" ", v.s.state(i, row[:12]), row[12:])
	}
	share := ""
	if l.Total > 0 {
		share = fmt.Sprintf(" (%.1f %%)", 100*float64(l.Wasted)/float64(l.Total))
	}
	as := func(s string) string { return s }
	v.cut(styled{as, " "}, styled{v.s.bold, "spending " + now.String() + "/h"}, styled{as, ", "}, styled{v.s.alarm, "wasting " + wasted.String() + "/h"},
		styled{as, " · so far "}, styled{v.s.bold, l.Total.String()}, styled{as, ", wasted "}, styled{v.s.alarm, l.Wasted.String()}, styled{as, share})
	v.gap()
}

// wastes tells whether the time of a state is paid for and does no work although
// somebody holds it.
func wastes(state string) bool { return state == "idle" || state == "idle_held" }

// lists divides the rows that are left: half to who is idle, the rest to what
// happened and what was said about it.
func (v *view) lists(rows int) {
	said := v.m.Slack != nil
	parts := 2
	if said {
		parts = 3
	}
	rows -= parts // their titles
	if v.roomy {
		rows -= parts // and gaps
	}
	part := max(rows/4, 2)
	if !said {
		part = max(rows/2, 2)
	}
	v.idle(max(rows-(parts-1)*part, 2))
	v.news(part)
	if said {
		v.said(part)
	}
}

func (v *view) idle(rows int) {
	list := v.m.Ledger.Idle
	const figures = 6 + 13 + 12 // since, burnt, per hour; the rest is shared
	rest := v.width - 3 - figures
	name := max(rest*2/5, 12)
	who := max((rest-name)/2, 8)
	title := fmt.Sprintf(" IDLE NOW, BY MONEY: %d", len(list))
	if len(list) > rows {
		title += fmt.Sprintf(", the first %d", rows)
	}
	v.line(v.s.dim(fit(title, v.width-figures) + fmt.Sprintf(" %5s %12s %11s", "SINCE", "BURNT", "PER HOUR")))
	for _, f := range list[:min(len(list), rows)] {
		mark := v.s.dim("○ ")
		if f.Severity == "alert" {
			mark = v.s.alarm("● ")
		}
		where := f.Node + " " + strings.Join(f.GPUs, ",")
		v.line(" ", mark, fit(f.Allocation, name), fit(" "+person(f.User, f.Team), who), fit(" "+where, rest-name-who),
			" ", f.Since.UTC().Format("15:04"), " ", v.s.alarm(fmt.Sprintf("%12s", f.Burnt)), fmt.Sprintf(" %11s", f.PerHour))
	}
	v.fill(len(list), rows, "nobody has held a GPU for five minutes without work")
}

func (v *view) news(rows int) {
	list := v.m.Ledger.Findings
	v.line(v.s.dim(" FINDINGS"))
	for _, f := range list[:min(len(list), rows)] {
		text := fmt.Sprintf("%s (%s): %s %s burnt, %s an hour", f.Allocation, person(f.User, f.Team), f.Burnt, f.Currency, f.PerHour)
		word := fmt.Sprintf("%-9s", f.News)
		if f.News == "alert" {
			word = v.s.alarm(word)
		}
		v.line(" ", f.At.UTC().Format("15:04:05"), " ", word, cut(text, v.width-19))
	}
	v.fill(len(list), rows, "none yet: an allocation that does nothing opens one after five minutes, and alerts after thirty")
}

func (v *view) said(rows int) {
	list := v.m.Slack
	v.line(v.s.dim(" SLACK, AS IT WOULD BE SENT"))
	for _, text := range list[max(0, len(list)-rows):] {
		v.line(" ", cut(text, v.width-1))
	}
	v.fill(len(list), rows, "nothing yet")
}

// fill makes up for rows that a list does not need.
func (v *view) fill(have, rows int, empty string) {
	if have == 0 && rows > 0 {
		v.line(" ", v.s.dim(cut(empty, v.width-1)))
		have++
	}
	for ; have < rows; have++ {
		v.line()
	}
	v.gap()
}

// foot says how the pipeline does, and where to look further.
func (v *view) foot() []string {
	h := &v.m.Health
	lines := []string{fmt.Sprintf(" %s samples/s · %s rows published · %s facts · lag %s · restated %s · dead letters %s",
		count(int64(h.SamplesPerSecond)), count(h.Published), count(h.Facts), short(h.Lag), count(int64(v.m.Ledger.Restated)), count(h.DeadLetters))}
	if v.m.Warning != "" {
		lines = append(lines, " ! "+v.m.Warning)
	}
	doors := make([]string, len(v.m.Doors))
	for i, d := range v.m.Doors {
		doors[i] = " " + d.Name + " " + d.Address
	}
	lines = append(lines, strings.Join(doors, " "))
	if v.roomy && len(v.m.Try) > 0 {
		lines = append(lines, " try "+v.m.Try[0])
	}
	lines = append(lines, " Ctrl-C stops the source first, then checks the ledger")
	for i := range lines {
		lines[i] = v.s.dim(cut(lines[i], v.width))
	}
	return lines
}

// person is a user and a team, as far as they are known.
func person(user, team string) string {
	switch {
	case user == "":
		user = "nobody known"
	case team != "":
		return user + ", " + team
	}
	return user
}

// trim writes a speed without zeros that say nothing.
func trim(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

func count(n int64) string { return grouped(max(n, 0)) }

// short is a span in the two largest units that matter.
func short(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}
