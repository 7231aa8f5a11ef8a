package demo

import (
	"os"
	"strings"

	"golang.org/x/term"
)

// A Screen shows a demo on a terminal, in place of what was there; Close brings
// that back.
type Screen struct {
	to     *os.File
	styles styles
	begun  bool
}

// Terminal is a Screen on f; nil where f is no terminal. It is drawn without
// colours where the environment asks for none (no-color.org).
func Terminal(f *os.File) *Screen {
	if !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &Screen{to: f, styles: os.Getenv("NO_COLOR") == ""}
}

// Sequences of every terminal since the VT100 and xterm.
const (
	enter     = "\x1b[?1049h\x1b[?25l\x1b[?7l" // the alternate screen, no cursor, no wrapping
	leave     = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	home      = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

// Show draws a frame. The size is looked up every time: it may change.
func (s *Screen) Show(m *Model) error {
	width, height, err := term.GetSize(int(s.to.Fd()))
	if err != nil {
		return err
	}
	var b strings.Builder
	if !s.begun {
		s.begun = true
		b.WriteString(enter)
	}
	b.WriteString(home)
	lines := frame(m, width, height, s.styles)
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line + clearLine)
	}
	b.WriteString(clearRest)
	_, err = s.to.WriteString(b.String())
	return err
}

// Close brings back what was there before.
func (s *Screen) Close() error {
	if !s.begun {
		return nil
	}
	s.begun = false
	_, err := s.to.WriteString(leave)
	return err
}
