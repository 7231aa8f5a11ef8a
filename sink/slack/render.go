package slack

import (
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/gpumeter/gpumeter/sink/notify"
)

// A Rendered message is what Slack is given. Text is what notifications and old
// clients show, Blocks what the channel shows; none: Text.
type Rendered struct {
	Text   string
	Blocks []slackgo.Block
}

// Lengths that Slack allows, with room to spare: 3,000 characters in a section.
const (
	sectionLimit = 2800
	textLimit    = 2800
)

// Render writes a message for Slack. It reads no clock: the same message is
// always the same.
func Render(m notify.Message, to Link) Rendered {
	p := pageOf(m, to)
	out := Rendered{Text: p.oneLine(mrkdwn{})}
	if m.Plain {
		return out
	}
	out.Blocks = append(out.Blocks, section(mrkdwn{}.mark(p.mark)+p.title.write(mrkdwn{})))
	if len(p.facts) > 0 {
		var fields []*slackgo.TextBlockObject
		for _, f := range p.facts {
			fields = append(fields, text("*"+f.label+"*\n"+f.says.write(mrkdwn{})))
		}
		out.Blocks = append(out.Blocks, slackgo.NewSectionBlock(nil, fields, nil))
	}
	if len(p.advice) > 0 {
		out.Blocks = append(out.Blocks, section("*What to do:* "+p.advice.write(mrkdwn{})))
	}
	for _, part := range sections(p.list) {
		out.Blocks = append(out.Blocks, section(part))
	}
	if len(p.notes) > 0 {
		var notes []slackgo.MixedElement
		for _, n := range p.notes {
			notes = append(notes, text(n.write(mrkdwn{})))
		}
		out.Blocks = append(out.Blocks, slackgo.NewContextBlock("", notes...))
	}
	return out
}

// Text writes a message for a terminal, in some lines, the last one ended.
func Text(m notify.Message, to Link) string {
	p := pageOf(m, to)
	var out strings.Builder
	out.WriteString(terminal{}.mark(p.mark) + p.title.write(terminal{}) + "\n")
	for _, f := range p.facts {
		out.WriteString("  " + f.label + ": " + f.says.write(terminal{}) + "\n")
	}
	if len(p.advice) > 0 {
		out.WriteString("  What to do: " + p.advice.write(terminal{}) + "\n")
	}
	for _, l := range p.list {
		out.WriteString("  - " + l.write(terminal{}) + "\n")
	}
	for _, n := range p.notes {
		out.WriteString("  (" + n.write(terminal{}) + ")\n")
	}
	return out.String()
}

// oneLine is the whole in one line: title, facts, advice, the first of
// a list, notes.
func (p page) oneLine(to medium) string {
	parts := []string{p.title.write(to)}
	for _, f := range p.facts {
		parts = append(parts, f.says.write(to))
	}
	if len(p.advice) > 0 {
		parts = append(parts, p.advice.write(to))
	}
	for _, l := range p.list[:min(len(p.list), 3)] {
		parts = append(parts, l.write(to))
	}
	for _, n := range p.notes {
		parts = append(parts, n.write(to))
	}
	out := parts[0]
	for _, part := range parts[1:] {
		if len(out)+len(part) < textLimit {
			out += " · " + part
		}
	}
	return out
}

// sections puts the lines of a list into as few texts as Slack's limit allows.
func sections(list []line) []string {
	var out []string
	for _, l := range list {
		text := "• " + l.write(mrkdwn{})
		if n := len(out); n > 0 && len(out[n-1])+1+len(text) <= sectionLimit {
			out[n-1] += "\n" + text
			continue
		}
		out = append(out, text)
	}
	return out
}

func section(s string) slackgo.Block { return slackgo.NewSectionBlock(text(s), nil, nil) }

// text is verbatim: Slack makes no mentions and links of what looks like one.
func text(s string) *slackgo.TextBlockObject {
	return slackgo.NewTextBlockObject(slackgo.MarkdownType, s, false, true)
}
