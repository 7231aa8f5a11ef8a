package slack

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/sink/notify"
)

// listed is how many alerts a digest names; the rest is a sum.
const listed = 20

// digestPage tells of many alerts, the most expensive ones by name.
func digestPage(m notify.Message, to Link) page {
	n := len(m.Findings)
	ended := 0
	for i := range m.Findings {
		if isOver(&m.Findings[i]) {
			ended++
		}
	}
	var p page
	if m.What == schemas.NoticeResolved {
		p.mark = over
		p.title = line{{text: "Cost " + totals(m.Findings, burnt), style: bold}, {text: " in all: " + counted(n, "alert") + " over"}}
	} else {
		p.title = line{
			{text: totals(m.Findings, burnt) + " burnt", style: bold},
			{text: ", " + totals(m.Findings, perHour) + " per hour: " + counted(n, "alert")},
		}
		if ended > 0 {
			p.title = append(p.title, piece{text: ", " + strconv.Itoa(ended) + " of them over already"})
		}
	}
	for i := range m.Findings[:min(n, listed)] {
		p.list = append(p.list, entry(&m.Findings[i], to))
	}
	if rest := m.Findings[min(n, listed):]; len(rest) > 0 {
		p.list = append(p.list, words("and "+strconv.Itoa(len(rest))+" more: "+totals(rest, burnt)+" burnt, "+totals(rest, perHour)+" per hour"))
	}
	return p
}

// entry is one alert in a digest.
func entry(f *schemas.Finding, to Link) line {
	currency := clean(f.Currency, shortName)
	out := line{{text: amount(f.BurntCost, currency), style: bold}}
	if isOver(f) {
		out = append(out, piece{text: ", over after " + span(until(f)-since(f)) + ": "})
	} else {
		out = append(out, piece{text: ", " + amount(f.CostPerHour, currency) + " per hour for " + span(until(f)-since(f)) + ": "})
	}
	out = append(out, who(f, shortName)...)
	out = append(out, piece{text: ", "}, piece{text: clean(f.Allocation, shortName), style: code},
		piece{text: " on "}, piece{text: clean(f.Node, shortName), style: code}, piece{text: ", " + counted(len(f.GPUs), "GPU")})
	if url := to.URL(f); url != "" {
		out = append(out, piece{text: ", "}, piece{text: "open", style: link, url: url})
	}
	return out
}

func burnt(f *schemas.Finding) int64 { return f.BurntCost }

// perHour is nothing for what is over.
func perHour(f *schemas.Finding) int64 {
	if isOver(f) {
		return 0
	}
	return f.CostPerHour
}

// totals adds money up, each currency by itself.
func totals(findings []schemas.Finding, of func(*schemas.Finding) int64) string {
	sums := map[string]int64{}
	for i := range findings {
		sums[clean(findings[i].Currency, shortName)] += of(&findings[i])
	}
	currencies := make([]string, 0, len(sums))
	for c := range sums {
		currencies = append(currencies, c)
	}
	slices.SortFunc(currencies, func(a, b string) int { // the unpriced last
		return cmp.Or(cmp.Compare(min(len(b), 1), min(len(a), 1)), cmp.Compare(a, b))
	})
	out := ""
	for i, c := range currencies {
		if i > 0 {
			out += " + "
		}
		out += amount(sums[c], c)
	}
	return out
}
