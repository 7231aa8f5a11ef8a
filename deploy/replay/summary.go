package replay

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// A Summary says what a replay did and what the ledger holds after it.
type Summary struct {
	Data        string           `json:"data,omitempty"` // directory, "" = somebody else's servers
	Horizon     service.Instant  `json:"horizon,omitempty"`
	Seconds     float64          `json:"seconds"`
	Stages      []Stage          `json:"stages"`
	Totals      Totals           `json:"totals"`
	DeadLetters map[string]int64 `json:"dead_letters"` // of this replay, by reason
	Ignored     []Ignored        `json:"ignored_fields"`
	PeakMemory  int64            `json:"peak_memory_bytes"` // of this process and its engine; 0 = not known
}

// A Stage is what one stage did in this replay.
type Stage struct {
	Name          string  `json:"name"`
	Rows          int64   `json:"rows"`
	Seconds       float64 `json:"seconds"`
	RowsPerSecond float64 `json:"rows_per_second"`
}

// Ignored counts a field that the input contract does not know.
type Ignored struct {
	Stream string `json:"stream"`
	Field  string `json:"field"`
	Times  int64  `json:"times"`
}

func newStage(name string, rows int64, took time.Duration) Stage {
	s := Stage{Name: name, Rows: rows, Seconds: took.Seconds()}
	if took > 0 {
		s.RowsPerSecond = float64(rows) / s.Seconds
	}
	return s
}

func ignored(counts map[publish.Field]int64) []Ignored {
	fields := slices.SortedFunc(maps.Keys(counts), publish.Field.Compare)
	out := make([]Ignored, len(fields))
	for i, f := range fields {
		out[i] = Ignored{Stream: f.Stream, Field: f.Name, Times: counts[f]}
	}
	return out
}

// Print writes s for a person.
func (s *Summary) Print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	p := printer{w: w}
	p.line("replayed in %.1f s up to %s", s.Seconds, cmp.Or(s.Horizon.String(), "no horizon: there was no event"))
	p.line("\nSTAGE\tROWS\tROWS/S")
	for _, stage := range s.Stages {
		p.line("%s\t%s\t%s", stage.Name, thousands(stage.Rows), thousands(int64(stage.RowsPerSecond)))
	}
	p.line("\nSTATE\tGPU-SECONDS\tLIST COST")
	for _, state := range slices.Sorted(maps.Keys(s.Totals.States)) {
		p.money(state, s.Totals.States[state])
	}
	p.money("to allocations", s.Totals.Allocations)
	p.money("in all", s.Totals.All)
	if len(s.DeadLetters) > 0 {
		p.line("\nDEAD LETTERS\tROWS")
		for _, reason := range slices.Sorted(maps.Keys(s.DeadLetters)) {
			p.line("%s\t%s", reason, thousands(s.DeadLetters[reason]))
		}
	}
	for _, f := range s.Ignored {
		p.line("\nwarning: %s: field %q is not in the input contract and was ignored %s times", f.Stream, f.Field, thousands(f.Times))
	}
	if s.PeakMemory > 0 {
		p.line("\npeak memory %d MB, with the engine", s.PeakMemory>>20)
	}
	p.teach(s.Data)
	return cmp.Or(p.err, w.Flush())
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) money(name string, m Money) {
	costs := make([]string, 0, len(m.ListCost)+1)
	for _, currency := range slices.Sorted(maps.Keys(m.ListCost)) {
		costs = append(costs, m.ListCost[currency]+" "+currency)
	}
	if m.UnpricedMs > 0 {
		costs = append(costs, seconds(m.UnpricedMs)+" GPU-s unpriced")
	}
	p.line("%s\t%s\t%s", name, seconds(m.GPUMs), strings.Join(costs, ", "))
}

// teach shows where the ledger is and what to ask it.
func (p *printer) teach(data string) {
	if data == "" {
		return
	}
	p.line("\nThe ledger is in %s. Ask it:", data)
	for _, sql := range []string{
		"SELECT state, sum(gpu_ms)/3.6e6 AS gpu_hours, sum(list_cost) AS cost FROM gpumeter.cost GROUP BY state",
		"SELECT user, sum(waste_cost) AS waste FROM gpumeter.cost GROUP BY user ORDER BY waste DESC LIMIT 10",
		"SELECT stream, place, reason, detail FROM gpumeter.dead_letters LIMIT 10",
	} {
		p.line("  gpumeter query --data %s \"%s\"", data, sql)
	}
}

// seconds writes milliseconds as seconds, exactly.
func seconds(ms int64) string {
	sign := ""
	if ms < 0 {
		sign, ms = "-", -ms
	}
	text := sign + thousands(ms/1000)
	if rest := ms % 1000; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%03d", rest), "0")
	}
	return text
}

// thousands writes n in groups of three digits.
func thousands(n int64) string {
	digits := fmt.Sprint(n)
	first := len(digits) % 3
	if n < 0 {
		first = (len(digits) - 1) % 3
		first++
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (i-first)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
