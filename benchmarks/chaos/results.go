package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// toolVersion rises when a seed means another run: results of older ones do not
// count any more.
const toolVersion = 2

// A result is one line of the file of results.
type result struct {
	seed     uint64
	commit   string
	settings settings
	faults   string
	load     *load
	verdict  verdict
	seconds  float64
	wrong    string // empty: it passed
	broken   int    // runs before it that Kafka broke
}

const header = "tool\tseed\tcommit\tverdict\tseconds\tevents\trows\trevisions\tfindings\tsettings\tfaults\n"

func (r *result) String() string {
	verdict := "pass"
	if r.wrong != "" {
		verdict = "FAIL: " + strings.Join(strings.Fields(r.wrong), " ")
	}
	if r.broken > 0 {
		verdict += fmt.Sprintf(" (run %d: Kafka had dropped the end of a transaction)", r.broken+1)
	}
	events := 0
	if r.load != nil {
		events = r.load.events
	}
	return fmt.Sprintf("%d\t%d\t%s\t%s\t%.1f\t%d\t%d\t%d\t%d\t%s\t%s\n", toolVersion, r.seed, r.commit, verdict, r.seconds,
		events, r.verdict.rows, r.verdict.revisions, r.verdict.findings, r.settings, r.faults)
}

// known tells which seeds have a line of this version already, and whether they
// passed.
func known(file string) (map[uint64]bool, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	passed := map[uint64]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(line, "\t")
		if len(fields) < 4 || fields[0] != strconv.Itoa(toolVersion) {
			continue
		}
		seed, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: seed %q: %w", file, fields[1], err)
		}
		passed[seed] = strings.HasPrefix(fields[3], "pass")
	}
	return passed, nil
}

// note appends a result.
func note(file string, r *result) (err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("note the result: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	line := r.String()
	if info.Size() == 0 {
		line = header + line
	}
	_, err = f.WriteString(line)
	return err
}
