package generate

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write makes the directory dir, if need be, and writes the input files of opt
// into it. It holds no file in memory. The result is how many lines each file
// has, without CSV headers.
func Write(dir string, opt Options) (map[string]int, error) {
	if err := opt.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	lines := map[string]int{}
	for _, f := range []struct {
		name  string
		write func(*writer)
	}{
		{"resources.ndjson", opt.writeResources},
		{"prices.csv", opt.writePrices},
		{"tags.csv", opt.writeTags},
		{"allocations.ndjson", opt.writeAllocations},
		{"processes.ndjson", opt.writeProcesses},
		{"samples.ndjson", opt.writeSamples},
	} {
		n, err := writeFile(filepath.Join(dir, f.name), f.write)
		if err != nil {
			return nil, fmt.Errorf("generate: %w", err)
		}
		lines[f.name] = n
	}
	return lines, nil
}

// writeProcesses writes a few, for they count for the horizon only.
func (o *Options) writeProcesses(out *writer) {
	d := newDice(o, 7)
	for i, p := range o.places() {
		out.line(d, (&line{}).time(d, "ts", d.instant()).text("node", p.node).text("gpu", p.gpu).number("pid", int64(4000+i)).raw("sm_utilization", "0.5").end())
	}
}

// A writer writes lines, some of them later or twice.
type writer struct {
	out   *bufio.Writer
	late  [][]byte
	lines int
	err   error // the first one
}

func writeFile(path string, write func(*writer)) (lines int, err error) {
	f, err := os.Create(path) //nolint:gosec // the caller names the directory
	if err != nil {
		return 0, err
	}
	w := &writer{out: bufio.NewWriterSize(f, 1<<16)}
	write(w)
	for _, l := range w.late {
		w.put(l)
	}
	return w.lines, errors.Join(w.err, w.out.Flush(), f.Close())
}

func (w *writer) header(text string) {
	w.put([]byte(text))
	w.lines--
}

// waiting is how many lines are kept back at most.
const waiting = 64

// line writes b now, or after some that follow.
func (w *writer) line(d dice, b []byte) {
	if d.chance(Repeats, 2) {
		w.put(b)
	}
	if d.chance(Late, 3) && len(w.late) < waiting {
		w.late = append(w.late, b)
		return
	}
	w.put(b)
	if len(w.late) > 0 && d.IntN(20) == 0 {
		i := d.IntN(len(w.late))
		w.put(w.late[i])
		w.late = append(w.late[:i], w.late[i+1:]...)
	}
}

func (w *writer) put(b []byte) {
	if _, err := w.out.Write(b); err != nil && w.err == nil {
		w.err = err
	}
	w.lines++
}
