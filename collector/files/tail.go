package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// A tail reads one growing file and blocks at its end until there is more. It
// ends, with io.EOF, when the path names another file or the file was cut: then
// the next file begins. It looks at intervals, since directories of clusters
// are on network file systems, which tell nobody of changes.
type tail struct {
	ctx     context.Context // of the reading: io.Reader has no room for it
	path    string
	file    *os.File
	at      int64 // bytes read
	poll    time.Duration
	drained bool // the file was replaced and read to its end since
}

func (t *tail) Read(b []byte) (int, error) {
	tick := time.NewTicker(t.poll)
	defer tick.Stop()
	for {
		if err := t.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := t.file.Read(b)
		if n > 0 {
			t.at += int64(n)
			return n, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if t.drained {
			return 0, io.EOF
		}
		// A writer that renames a file opens a new one first, then stops
		// writing to the old: once the new one is seen, one more reading to the
		// end has everything.
		if t.drained, err = t.replaced(); err != nil {
			return 0, err
		}
		if t.drained {
			continue
		}
		select {
		case <-t.ctx.Done():
		case <-tick.C:
		}
	}
}

// replaced tells whether the path names another file by now, or this one got
// shorter. A path that names nothing is a rotation under way.
func (t *tail) replaced() (bool, error) {
	named, err := os.Stat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	open, err := t.file.Stat()
	if err != nil {
		return false, err
	}
	return !os.SameFile(named, open) || open.Size() < t.at, nil
}

// waitOpen opens path, as soon as it is there.
func waitOpen(ctx context.Context, path string, poll time.Duration) (*os.File, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		f, err := os.Open(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}
