package record

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A Recorder is a sink between a source and another sink. Its methods may be
// called from several goroutines.
type Recorder struct {
	to source.Sink

	mu    sync.Mutex
	files []*os.File
	out   map[string]*bufio.Writer // by stream
	line  line
	rows  int64
}

var _ source.Sink = (*Recorder)(nil)

// New makes the files in dir, which must not hold a recording yet.
func New(dir string, to source.Sink) (*Recorder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the recording: %w", err)
	}
	r := &Recorder{to: to, out: map[string]*bufio.Writer{}}
	for _, file := range contract.Files() {
		f, err := os.OpenFile(filepath.Join(dir, file.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("begin a recording: %w", err), r.Close())
		}
		r.files = append(r.files, f)
		r.out[file.Stream] = bufio.NewWriter(f)
	}
	return r, errors.Join(r.table(schemas.StreamPrices, priceHeader()), r.table(schemas.StreamTags, tagHeader()))
}

// Close writes what is still in memory.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, w := range r.out {
		errs = append(errs, w.Flush())
	}
	for _, f := range r.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Rows is how many rows were written down.
func (r *Recorder) Rows() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rows
}

// object writes one line of NDJSON.
func (r *Recorder) object(stream string, fill func(*line)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line = r.line[:0]
	fill(&r.line)
	r.line = append(r.line, '\n')
	r.rows++
	_, err := r.out[stream].Write(r.line)
	return wrap(stream, err)
}

// table writes one line of CSV.
func (r *Recorder) table(stream string, cells []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := csv.NewWriter(r.out[stream])
	err := w.Write(cells)
	w.Flush()
	return wrap(stream, errors.Join(err, w.Error()))
}

// row is table for what is not a header.
func (r *Recorder) row(stream string, cells []string) error {
	err := r.table(stream, cells)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows++
	return err
}

func wrap(stream string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("record %s: %w", stream, err)
}

// Sample records and passes on.
func (r *Recorder) Sample(s *contract.Sample) error {
	if err := r.object(schemas.StreamSamples, func(l *line) { l.sample(s) }); err != nil {
		return err
	}
	return r.to.Sample(s)
}

// Process records and passes on.
func (r *Recorder) Process(p schemas.Process) error {
	if err := r.object(schemas.StreamProcesses, func(l *line) { l.process(&p) }); err != nil {
		return err
	}
	return r.to.Process(p)
}

// Allocation records and passes on.
func (r *Recorder) Allocation(a schemas.Allocation) error {
	if err := r.object(schemas.StreamAllocations, func(l *line) { l.allocation(&a) }); err != nil {
		return err
	}
	return r.to.Allocation(a)
}

// Resource records and passes on.
func (r *Recorder) Resource(v schemas.Resource) error {
	if err := r.object(schemas.StreamResources, func(l *line) { l.resource(&v) }); err != nil {
		return err
	}
	return r.to.Resource(v)
}

// Price records and passes on.
func (r *Recorder) Price(p schemas.Price) error {
	if err := r.row(schemas.StreamPrices, price(&p)); err != nil {
		return err
	}
	return r.to.Price(p)
}

// Tag records and passes on.
func (r *Recorder) Tag(t schemas.Tag) error {
	if err := r.row(schemas.StreamTags, tag(&t)); err != nil {
		return err
	}
	return r.to.Tag(t)
}

// DeadLetter passes on.
func (r *Recorder) DeadLetter(d schemas.DeadLetter) error { return r.to.DeadLetter(d) }
