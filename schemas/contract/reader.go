package contract

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/gpumeter/gpumeter/schemas"
)

// A File is one file of an input directory.
type File struct {
	Name   string // in the directory
	Stream string // what it holds
}

// Files lists the files of an input directory. Each may be missing.
func Files() []File {
	return []File{
		{"resources.ndjson", schemas.StreamResources},
		{"prices.csv", schemas.StreamPrices},
		{"tags.csv", schemas.StreamTags},
		{"allocations.ndjson", schemas.StreamAllocations},
		{"processes.ndjson", schemas.StreamProcesses},
		{"samples.ndjson", schemas.StreamSamples},
	}
}

// A Reader reads one file row by row, in file order. Not for concurrent use.
type Reader struct {
	file   File
	lines  *Lines
	line   []byte
	parser Parser
	table  *Table
	header []byte // of table, as it was written

	ignored []string

	// The row of the last Next: the one of the file's stream.
	Sample     Sample
	Process    schemas.Process
	Allocation schemas.Allocation
	Resource   schemas.Resource
	Price      schemas.Price
	Tag        schemas.Tag
}

// NewReader reads r as the named file.
func NewReader(file File, r io.Reader) *Reader {
	return &Reader{file: file, lines: NewLines(r)}
}

// Next reads the next row into the field of the file's stream. An *Error
// refuses one line: call Next again for the row behind it. io.EOF is the end;
// any other error is the underlying reader's.
func (r *Reader) Next() error {
	r.ignored = nil
	for {
		var err error
		if r.line, err = r.lines.Next(); err != nil {
			return err
		}
		if !r.isTable() || r.table != nil {
			return r.judge(r.parse())
		}
		if r.table, err = NewTable(r.file.Stream, r.line); err != nil {
			return r.judge(err)
		}
		r.header = append(r.header[:0], r.line...)
		r.ignored = r.table.Unknown()
	}
}

func (r *Reader) isTable() bool {
	return r.file.Stream == schemas.StreamPrices || r.file.Stream == schemas.StreamTags
}

func (r *Reader) parse() (err error) {
	switch r.file.Stream {
	case schemas.StreamPrices:
		return r.table.Price(r.line, &r.Price)
	case schemas.StreamTags:
		return r.table.Tag(r.line, &r.Tag)
	case schemas.StreamSamples:
		err = r.parser.Sample(r.line, &r.Sample)
	case schemas.StreamProcesses:
		err = r.parser.Process(r.line, &r.Process)
	case schemas.StreamAllocations:
		err = r.parser.Allocation(r.line, &r.Allocation)
	case schemas.StreamResources:
		err = r.parser.Resource(r.line, &r.Resource)
	default:
		return errors.New("no file holds the stream " + r.file.Stream)
	}
	r.ignored = r.parser.Ignored()
	return err
}

// judge calls a refused last line truncated where it was cut: it has no line
// feed and is not a whole object, or is a row of a table.
func (r *Reader) judge(err error) error {
	if err == nil || r.lines.Ended() || !r.isTable() && json.Valid(r.line) {
		return err
	}
	return refuse(schemas.ReasonTruncated, "", "the file ends in the middle of this line: write it anew and feed the line again")
}

// Place is file:line of the last Next.
func (r *Reader) Place() string { return r.file.Name + ":" + strconv.Itoa(r.lines.Number()) }

// Line is the line of the last Next, valid until the next one.
func (r *Reader) Line() []byte { return r.line }

// DeadLetter makes the letter for the line that the last Next refused. Its payload
// is a file of its own: the row of a table has the header before it.
func (r *Reader) DeadLetter(why *Error) schemas.DeadLetter {
	payload := slices.Clone(r.line)
	if r.table != nil {
		payload = slices.Concat(r.header, []byte("\n"), r.line)
	}
	return schemas.DeadLetter{
		Stream: r.file.Stream, Place: r.Place(), Reason: why.Reason, Detail: why.Error(),
		Payload: payload[:min(len(payload), schemas.MaxPayload)], Count: 1,
	}
}

// Ignored lists the fields of the last line, or the columns of the last header,
// that were ignored because the contract has none of that name.
func (r *Reader) Ignored() []string { return r.ignored }
