package spool

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"syscall"
)

var errCrashed = errors.New("the machine is off")

// A memory is a disk that can crash, fill up and refuse. It knows what would be
// there after a crash: contents as of the last Sync of the file, names as of the
// last sync of the directory.
type memory struct {
	files, durable map[string]*image
	ops            int  // calls that change something so far
	crashAt        int  // the call that does not come through, 0 = none
	torn           int  // bytes of it that do, if it is a write
	off            bool // it crashed in a write
	room           int  // bytes that fit, 0 = any number
	refuse         error
}

// An image is a file's contents; synced is what a crash leaves.
type image struct{ data, synced []byte }

// text of a file, nil of none.
func (f *image) text() []byte {
	if f == nil {
		return nil
	}
	return f.data
}

func newMemory() *memory {
	return &memory{files: map[string]*image{}, durable: map[string]*image{}}
}

// change counts a call; it fails when the machine is off or the disk refuses.
func (m *memory) change() error {
	if m.crashAt > 0 && m.ops >= m.crashAt {
		m.off = true
		return errCrashed
	}
	m.ops++
	if m.ops == m.crashAt {
		return errCrashed
	}
	return m.refuse
}

// crashed is the disk after a crash: nothing is there but what was forced to it,
// or, when all is given, everything that was written.
func (m *memory) crashed(all bool) *memory {
	after := newMemory()
	from := m.durable
	if all {
		from = m.files
	}
	for name, f := range from {
		data := f.synced
		if all {
			data = f.data
		}
		after.put(name, data)
	}
	return after
}

func (m *memory) put(name string, data []byte) {
	f := &image{slices.Clone(data), slices.Clone(data)}
	m.files[name], m.durable[name] = f, f
}

func (m *memory) used() (n int) {
	for _, f := range m.files {
		n += len(f.data)
	}
	return n
}

func (m *memory) list() ([]string, error) { return slices.Collect(maps.Keys(m.files)), nil }

func (m *memory) create(name string) (file, error) {
	if err := m.change(); err != nil {
		return nil, err
	}
	if m.files[name] != nil {
		return nil, fs.ErrExist
	}
	m.files[name] = &image{}
	return &handle{m, m.files[name]}, nil
}

func (m *memory) open(name string) (file, error) {
	if m.files[name] == nil {
		return nil, fs.ErrNotExist
	}
	return &handle{m, m.files[name]}, nil
}

func (m *memory) replace(name string, text []byte) error {
	if err := m.change(); err != nil {
		return err
	}
	if m.room > 0 && m.used()+len(text) > m.room {
		return syscall.ENOSPC
	}
	m.files[name] = &image{slices.Clone(text), slices.Clone(text)}
	return nil
}

func (m *memory) remove(name string) error {
	if err := m.change(); err != nil {
		return err
	}
	delete(m.files, name)
	return nil
}

func (m *memory) sync() error {
	if err := m.change(); err != nil {
		return err
	}
	m.durable = maps.Clone(m.files)
	return nil
}

type handle struct {
	disk *memory
	*image
}

func (h *handle) ReadAt(b []byte, at int64) (int, error) {
	if at >= int64(len(h.data)) {
		return 0, io.EOF
	}
	n := copy(b, h.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) Write(b []byte) (int, error) {
	if err := h.disk.change(); err != nil {
		n := 0
		if errors.Is(err, errCrashed) && !h.disk.off { // it crashes in the middle of this
			n = min(len(b), h.disk.torn)
			h.data = append(h.data, b[:n]...)
		}
		h.disk.off = h.disk.off || errors.Is(err, errCrashed)
		return n, err
	}
	if free := h.disk.room - h.disk.used(); h.disk.room > 0 && len(b) > free {
		h.data = append(h.data, b[:max(free, 0)]...)
		return max(free, 0), syscall.ENOSPC
	}
	h.data = append(h.data, b...)
	return len(b), nil
}

func (h *handle) Sync() error {
	if err := h.disk.change(); err != nil {
		return err
	}
	h.synced = slices.Clone(h.data)
	return nil
}

func (h *handle) Truncate(size int64) error {
	if err := h.disk.change(); err != nil {
		return err
	}
	h.data = h.data[:size]
	return nil
}

func (h *handle) Close() error         { return nil }
func (h *handle) size() (int64, error) { return int64(len(h.data)), nil }
