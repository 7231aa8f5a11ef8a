package archive

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A Disk is an archive in a directory. What was put since the last Commit is seen
// by its owner and by nobody else. A process that dies loses that, and the commits
// of the last seconds. Not for concurrent use.
//
// There is no write-ahead log. With one, a damaged list of files could leave a new
// tag, from the log, over old data that is gone; without, what is found is as of one
// commit or an error.
type Disk struct {
	dir     string
	db      *pebble.DB
	lock    *pebble.Lock
	batch   *pebble.Batch
	flushed time.Time
}

// ErrInUse is the error of a directory that another process has open.
var ErrInUse = errors.New("another process uses it: each needs a state.dir of its own")

const (
	tagKey       = "\x00tag" // no key of an engine begins with 0
	memTable     = 4 << 20
	maxOpenFiles = 200
	flushEvery   = 10 * time.Second // what a process that dies leaves to be read again
)

// Open opens the archive in dir, or makes an empty one. Any error but ErrInUse
// says that what is there is of no use.
func Open(dir string, log *slog.Logger) (*Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of an archive: %w", err)
	}
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w (%w)", dir, ErrInUse, err)
	}
	to := logger{log.With("archive", dir)}
	db, err := pebble.Open(dir, &pebble.Options{
		FS:   vfs.Default, // the default one watches the disk in a goroutine that outlives an Open that fails
		Lock: lock, Logger: to, EventListener: &pebble.EventListener{DataCorruption: to.corrupt}, FormatMajorVersion: pebble.FormatNewest,
		Levels:       filtered(),
		DisableWAL:   true,
		MemTableSize: memTable, MaxOpenFiles: maxOpenFiles, CacheSize: memTable,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the archive %s: %w", dir, err), lock.Close())
	}
	return &Disk{dir: dir, db: db, lock: lock, batch: db.NewIndexedBatch(), flushed: time.Now()}, nil
}

// filtered lets most lookups of what is not there touch no block: each allocation
// that is new is one.
func filtered() (levels [7]pebble.LevelOptions) {
	for i := range levels {
		levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return levels
}

// Tag is what the last Commit said, nil when there was none.
func (d *Disk) Tag() ([]byte, error) { return d.Get([]byte(tagKey)) }

// Commit makes what was put since the last one part of the archive, whole or not
// at all, and tags the archive; without a tag it is of no use to the next owner.
// It does not wait for the disk: what a dead machine has lost is at the end.
func (d *Disk) Commit(tag []byte) error {
	if tag == nil {
		if err := d.batch.Delete([]byte(tagKey), nil); err != nil {
			return fmt.Errorf("untagging the archive %s: %w", d.dir, err)
		}
	} else if err := d.batch.Set([]byte(tagKey), tag, nil); err != nil {
		return fmt.Errorf("tagging the archive %s: %w", d.dir, err)
	}
	if err := d.db.Apply(d.batch, pebble.NoSync); err != nil {
		return fmt.Errorf("writing the archive %s: %w", d.dir, err)
	}
	err := d.batch.Close()
	d.batch = d.db.NewIndexedBatch()
	if time.Since(d.flushed) > flushEvery {
		d.flushed = time.Now()
		_, failed := d.db.AsyncFlush()
		err = errors.Join(err, failed)
	}
	if err != nil {
		return fmt.Errorf("writing the archive %s: %w", d.dir, err)
	}
	return nil
}

// Close drops what was not committed.
func (d *Disk) Close() error {
	err := errors.Join(d.batch.Close(), d.db.Flush(), d.db.Close(), d.lock.Close())
	if err != nil {
		return fmt.Errorf("closing the archive %s: %w", d.dir, err)
	}
	return nil
}

// Get returns nil where there is nothing.
func (d *Disk) Get(key []byte) ([]byte, error) {
	value, closer, err := d.batch.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, value...), closer.Close()
}

// Put keeps copies.
func (d *Disk) Put(key, value []byte) error { return d.batch.Set(key, value, nil) }

// Delete removes the keys in [from, to).
func (d *Disk) Delete(from, to []byte) error { return d.batch.DeleteRange(from, to, nil) }

// First is the least key in [from, to).
func (d *Disk) First(from, to []byte) (key, value []byte, err error) {
	return d.end(from, to, (*pebble.Iterator).First)
}

// Last is the greatest key in [from, to).
func (d *Disk) Last(from, to []byte) (key, value []byte, err error) {
	return d.end(from, to, (*pebble.Iterator).Last)
}

// Scan hands over what is in [from, to), in order.
func (d *Disk) Scan(from, to []byte, each func(key, value []byte) error) error {
	it, err := d.batch.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			err = each(it.Key(), value)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

func (d *Disk) end(from, to []byte, seek func(*pebble.Iterator) bool) (key, value []byte, err error) {
	it, err := d.batch.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, nil, err
	}
	if seek(it) {
		value, err = it.ValueAndErr()
		key, value = slices.Clone(it.Key()), append([]byte{}, value...)
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, nil, err
	}
	return key, value, nil
}

// A logger hands on what the store has to say: that it works is not worth a line.
type logger struct{ *slog.Logger }

func (l logger) Infof(format string, args ...any) { l.Debug(fmt.Sprintf(format, args...)) }

func (l logger) Errorf(format string, args ...any) { l.Warn(fmt.Sprintf(format, args...)) }

// corrupt is told beside the reader, who gets an error. (By default it is fatal.)
func (l logger) corrupt(info pebble.DataCorruptionInfo) {
	l.Warn("the archive is damaged", "file", info.Path, "error", info.Details)
}

// Fatalf is what the store says when it can neither go on nor return, as on a full
// disk.
func (l logger) Fatalf(format string, args ...any) {
	panic("the state directory cannot be written (make room, or remove it: it is rebuilt): " + fmt.Sprintf(format, args...))
}
