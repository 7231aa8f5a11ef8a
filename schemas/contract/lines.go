package contract

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/gpumeter/gpumeter/schemas"
)

// MaxLine is the longest line in bytes that is read, without its end.
const MaxLine = 1 << 20

// Lines splits a file into lines. Not for concurrent use.
type Lines struct {
	in     *bufio.Reader
	number int
	ended  bool // whether the line of the last Next had its line feed
}

// NewLines reads from r, which may block until a growing file has more.
func NewLines(r io.Reader) *Lines {
	return &Lines{in: bufio.NewReaderSize(r, MaxLine+2)}
}

// Number is the number of the line of the last Next, from 1.
func (l *Lines) Number() int { return l.number }

// Ended tells whether the line of the last Next had its line feed: false for
// the last line of a file without one, which may have been cut.
func (l *Lines) Ended() bool { return l.ended }

// Next returns the next line that is not blank, without its end, valid until
// the next call. A line over MaxLine is an *Error, its beginning comes with it
// and the next call goes on behind it. io.EOF is the end; other errors are r's.
func (l *Lines) Next() ([]byte, error) {
	for {
		line, err := l.in.ReadSlice('\n')
		l.number++
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return l.tooLong(line)
		case err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)):
			return nil, err
		}
		l.ended = err == nil
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if l.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // the byte order mark of some editors
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if len(line) > MaxLine {
			return line, tooLong()
		}
		return line, nil
	}
}

// tooLong passes over the rest of a line.
func (l *Lines) tooLong(begin []byte) ([]byte, error) {
	begin = bytes.Clone(begin[:min(len(begin), schemas.MaxPayload)])
	for {
		_, err := l.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		}
		l.ended = true
		return begin, tooLong()
	}
}

func tooLong() *Error {
	return refuse(schemas.ReasonTooLong, "", "the line is longer than %d bytes: split the event", MaxLine)
}
