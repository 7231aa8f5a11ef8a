package oracle

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	million   = 1_000_000
	maxLine   = 1 << 20           // bytes of a line that is read
	year2010  = 1_262_304_000_000 // Unix ms: no event is older
	tenMinute = 600_000           // ms: how far a source's clock may be ahead
)

// An input is what the files of a directory say, in the order of reading.
type input struct {
	now     int64
	latest  int64 // the greatest time of an accepted event
	refused map[string]int
	texts   map[string]string

	samples map[series][]sample
	events  []event
	records []Record
	prices  []Price
	tags    []rule
}

func readDir(dir string, now int64) (*input, error) {
	in := &input{now: now, latest: Absent, refused: map[string]int{}, texts: map[string]string{}, samples: map[series][]sample{}}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("oracle: %s is not a directory of input files: %w", dir, err)
	}
	for name, accept := range map[string]func([]byte) error{
		"samples.ndjson":     in.addSample,
		"processes.ndjson":   in.addProcess,
		"allocations.ndjson": in.addEvent,
		"resources.ndjson":   in.addRecord,
	} {
		if err := in.readLines(dir, name, accept); err != nil {
			return nil, err
		}
	}
	for name, t := range map[string]table{"prices.csv": priceTable(in), "tags.csv": tagTable(in)} {
		if err := in.readLines(dir, name, t.add); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// readLines hands every line of a file to accept and counts what it refuses. A
// file that is not there has no lines.
func (in *input) readLines(dir, name string, accept func([]byte) error) error {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("oracle: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	r := bufio.NewReaderSize(f, 1<<16)
	for first := true; ; first = false {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("oracle: %s: %w", name, err)
		}
		end := err != nil
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if first {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // the byte order mark of some editors
		}
		if len(bytes.TrimSpace(line)) > 0 && (len(line) > maxLine || accept(line) != nil) {
			in.refused[name]++
		}
		if end {
			return nil
		}
	}
}

// event time of rule 1: refused events move nothing.
func (in *input) checkTime(f *fields, ts int64) {
	if f.err == nil && (ts < year2010 || ts > in.now+tenMinute) {
		f.fail("ts", "is before 2010 or more than ten minutes ahead")
	}
}

// accepted moves the horizon of a run without an explicit one.
func (in *input) accepted(ts int64) { in.latest = max(in.latest, ts) }

// same returns one copy of texts that repeat on every line.
func (in *input) same(s string) string {
	if known, ok := in.texts[s]; ok {
		return known
	}
	s = strings.Clone(s)
	in.texts[s] = s
	return s
}

func (in *input) addProcess(line []byte) error {
	f := parseObject(line)
	ts := f.requiredTime("ts")
	f.requiredText("node")
	f.requiredText("gpu")
	f.text("slice")
	f.text("allocation")
	f.fraction("sm_utilization")
	f.amount("memory_used_bytes", 0, maxAmount)
	switch pid := f.number("pid", 0); {
	case pid == nil:
		f.fail("pid", "is required")
	case pid.Sign() < 0 || !pid.IsInt() || !pid.Num().IsInt64() || pid.Num().Int64() > maxAmount:
		f.fail("pid", "is not a whole number from 0 on")
	}
	in.checkTime(f, ts)
	if f.err == nil {
		in.accepted(ts)
	}
	return f.err
}

// A table is a CSV file of which the first line that fits names the columns.
type table struct {
	required []string
	columns  map[string]int
	row      func(cell func(name string) string) error
}

var errRow = errors.New("does not fit the table")

func (t *table) add(line []byte) error {
	if !utf8.Valid(line) {
		return errRow
	}
	r := csv.NewReader(bytes.NewReader(line))
	cells, err := r.Read()
	if err != nil {
		return err
	}
	if t.columns == nil {
		return t.header(cells)
	}
	if len(cells) != t.columns[""] {
		return errRow
	}
	return t.row(func(name string) string {
		if at, ok := t.columns[name]; ok {
			return cells[at]
		}
		return ""
	})
}

// header notes where each column is, and under "" how many there are.
func (t *table) header(names []string) error {
	columns := map[string]int{}
	for i, name := range names {
		name = strings.TrimSpace(name)
		if _, twice := columns[name]; twice {
			return errRow
		}
		columns[name] = i
	}
	for _, name := range t.required {
		if _, ok := columns[name]; !ok {
			return errRow
		}
	}
	columns[""] = len(names)
	t.columns = columns
	return nil
}

// cellTime is an instant in ms; Absent when the cell is empty.
func cellTime(cell string, required, later bool) (int64, error) {
	cell = strings.TrimSpace(cell)
	if cell == "" {
		if required {
			return Absent, errTime
		}
		return Absent, nil
	}
	ms, err := parseTime(cell)
	if err == nil && later && ms <= 0 {
		return Absent, errTime
	}
	return ms, err
}
