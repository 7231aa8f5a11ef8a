package slack

import "strings"

// style is how a piece of text stands out.
type style int

const (
	plain style = iota
	bold
	code
	link
)

// A piece is some text in one style. Text is as somebody wrote it: each writer
// makes it harmless for its medium.
type piece struct {
	text  string
	style style
	url   string
}

// A line is one line of text.
type line []piece

// A fact is a label and what it says.
type fact struct {
	label string
	says  line
}

// A page is what a message says, before it is written for a medium.
type page struct {
	mark   mark
	title  line
	facts  []fact
	advice line
	list   []line
	notes  []line
}

// mark is what catches the eye.
type mark int

const (
	burning mark = iota
	over
)

// words is one piece of plain text.
func words(text string) line { return line{{text: text}} }

// medium writes lines.
type medium interface {
	piece(piece) string
	mark(mark) string
}

func (l line) write(to medium) string {
	var out strings.Builder
	for _, p := range l {
		out.WriteString(to.piece(p))
	}
	return out.String()
}

// mrkdwn is Slack's text.
type mrkdwn struct{}

func (mrkdwn) piece(p piece) string {
	if p.text == "" {
		return ""
	}
	switch p.style {
	case bold:
		return "*" + harmless(p.text) + "*"
	case code:
		return "`" + harmless(p.text) + "`"
	case link:
		return "<" + harmless(p.url) + "|" + harmless(strings.ReplaceAll(p.text, "|", "/")) + ">"
	}
	return harmless(p.text)
}

func (mrkdwn) mark(m mark) string {
	if m == over {
		return ":large_green_circle: "
	}
	return ":red_circle: "
}

// harmless escapes what Slack reads as a mention, a link or markup. Escaping the
// brackets is what Slack asks for; the words that reach everybody are cut too,
// for readers that are less strict, and a backtick would end a piece of code.
func harmless(s string) string {
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "'").Replace(s)
	for i := 0; i < len(s); i++ {
		if s[i] == '@' && reachesAll(s[i+1:]) {
			s = s[:i+1] + "\u2060" + s[i+1:]
		}
	}
	return s
}

func reachesAll(s string) bool {
	for _, word := range []string{"channel", "here", "everyone"} {
		if len(s) >= len(word) && strings.EqualFold(s[:len(word)], word) {
			return true
		}
	}
	return false
}

// terminal is text without any markup.
type terminal struct{}

func (terminal) piece(p piece) string {
	if p.style == link {
		return p.url
	}
	return p.text
}

func (terminal) mark(m mark) string {
	if m == over {
		return "[over] "
	}
	return "[ALERT] "
}
