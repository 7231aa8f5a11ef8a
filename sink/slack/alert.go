package slack

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/sink/notify"
)

// Lengths, in characters, of what somebody else wrote.
const (
	longName   = 120
	shortName  = 48
	longAdvice = 600
)

// evidenceSince is the evidence that says when the idleness began, in Unix
// milliseconds or RFC 3339. Without it the finding's opening is taken.
const evidenceSince = "idle_since"

// notes that a message may end with.
const (
	noteRepeat = "No answer came when this was sent before: it may be a repetition."
	noteLate   = "It was over before it could be announced."
)

// pageOf says what a message says: money first.
func pageOf(m notify.Message, to Link) page {
	p := digestPage(m, to)
	if len(m.Findings) == 1 {
		p = alertPage(&m.Findings[0], m, to)
	}
	if m.MayRepeat {
		p.notes = append(p.notes, words(noteRepeat))
	}
	return p
}

func alertPage(f *schemas.Finding, m notify.Message, to Link) page {
	took := span(until(f) - since(f))
	p := page{title: title(f, took)}
	when := fact{"Since", words(clock(since(f)) + ", " + took)}
	if isOver(f) {
		p.mark = over
		when = fact{"When", words(clock(since(f)) + " to " + clock(f.ResolvedAt))}
	} else if f.Advice != "" {
		p.advice = words(clean(f.Advice, longAdvice))
	}
	p.facts = []fact{when, {"Who", who(f, longName)}, {"Job", job(f)}, {"Where", where(f)}}
	if url := to.URL(f); url != "" {
		p.notes = append(p.notes, line{{text: "Open the dashboard", style: link, url: url}})
	}
	if text := evidence(f); text != "" {
		p.notes = append(p.notes, words(text))
	}
	if !isOver(f) {
		p.notes = append(p.notes, words("as of "+clock(f.UpdatedAt)))
	} else if m.What == schemas.NoticeAlert {
		p.notes = append(p.notes, words(noteLate))
	}
	return p
}

// title is the money of one alert.
func title(f *schemas.Finding, took string) line {
	currency := clean(f.Currency, shortName)
	switch {
	case currency == "" && isOver(f):
		return line{{text: "Cost not known", style: bold}, {text: " (no price), over after " + took + ": " + kind(f)}}
	case currency == "":
		return line{{text: "Cost not known", style: bold}, {text: " (no price), and rising: " + kind(f)}}
	case isOver(f):
		return line{{text: "Cost " + amount(f.BurntCost, currency), style: bold}, {text: ", over after " + took + ": " + kind(f)}}
	}
	return line{
		{text: amount(f.BurntCost, currency) + " burnt", style: bold},
		{text: ", " + amount(f.CostPerHour, currency) + " per hour: " + kind(f)},
	}
}

// kind says in words what a finding is.
func kind(f *schemas.Finding) string {
	what := "finding of kind " + clean(f.Kind, shortName)
	if f.Kind == schemas.KindIdle {
		what = "idle GPU"
		if len(f.GPUs) != 1 {
			what = counted(len(f.GPUs), "idle GPU")
		}
	}
	return what
}

func isOver(f *schemas.Finding) bool { return f.Status == schemas.StatusResolved }

// since is when the burning began.
func since(f *schemas.Finding) int64 {
	for _, e := range f.Evidence {
		if e.Key != evidenceSince {
			continue
		}
		if ms, err := strconv.ParseInt(e.Value, 10, 64); err == nil {
			return ms
		}
		if at, err := time.Parse(time.RFC3339Nano, e.Value); err == nil {
			return at.UnixMilli()
		}
	}
	return f.OpenedAt
}

// until is the time up to which the money counts.
func until(f *schemas.Finding) int64 {
	if isOver(f) {
		return f.ResolvedAt
	}
	return f.UpdatedAt
}

func who(f *schemas.Finding, most int) line {
	user, team := clean(f.User, most), clean(f.Team, most)
	switch {
	case user == "" && team == "":
		return words("nobody is known")
	case user == "":
		return words("team " + team)
	case team == "":
		return words(user)
	}
	return words(user + " (team " + team + ")")
}

func job(f *schemas.Finding) line {
	id := piece{text: orUnknown(clean(f.Allocation, longName)), style: code}
	if name := clean(f.Name, longName); name != "" {
		return line{{text: name + ", "}, id}
	}
	return line{id}
}

func orUnknown(name string) string {
	if name == "" {
		return "not known"
	}
	return name
}

// namedGPUs is how many GPUs a message names.
const namedGPUs = 4

func where(f *schemas.Finding) line {
	out := line{{text: orUnknown(clean(f.Node, longName)), style: code}, {text: ", " + counted(len(f.GPUs), "GPU")}}
	for i, gpu := range f.GPUs {
		if i == namedGPUs {
			return append(out, piece{text: " and " + strconv.Itoa(len(f.GPUs)-namedGPUs) + " more"})
		}
		before := ": "
		if i > 0 {
			before = ", "
		}
		out = append(out, piece{text: before}, piece{text: clean(gpu, longName), style: code})
	}
	return out
}

// shownEvidence is how many further measurements a message shows.
const shownEvidence = 6

// evidence is the measurements in words. Keys that are not known are shown as
// they are, so that a new detector needs no new message.
func evidence(f *schemas.Finding) string {
	have := map[string]string{}
	var parts []string
	for _, e := range f.Evidence {
		have[e.Key] = clean(e.Value, shortName)
	}
	if have["active_percent"] != "" && have["measured_minutes"] != "" {
		parts = append(parts, "active "+have["active_percent"]+" % of "+have["measured_minutes"]+" min measured")
	}
	if bytes, err := strconv.ParseUint(have["memory_used_bytes"], 10, 64); err == nil && have["memory_held"] == "yes" {
		parts = append(parts, fmt.Sprintf("%.1f GiB of GPU memory held", float64(bytes)/(1<<30)))
	}
	if have["phase"] != "" {
		parts = append(parts, "phase "+have["phase"])
	}
	further := 0
	for _, e := range f.Evidence {
		switch e.Key {
		case evidenceSince, "active_percent", "measured_minutes", "memory_used_bytes", "memory_held", "phase",
			"alert_minutes", "notice_minutes", "share_percent", "gpus": // settings, and what is said elsewhere
		default:
			if further++; further <= shownEvidence {
				parts = append(parts, clean(e.Key, shortName)+" "+clean(e.Value, shortName))
			}
		}
	}
	return strings.Join(parts, ", ")
}
