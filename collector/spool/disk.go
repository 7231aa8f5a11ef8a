package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A disk is a directory. It has a double in the tests, which fails and crashes.
type disk interface {
	list() (names []string, err error)
	create(name string) (file, error) // for writing behind its end; it must not exist
	open(name string) (file, error)   // for reading
	replace(name string, text []byte) error
	remove(name string) error
	sync() error // the names of files, as file.Sync is their contents
}

type file interface {
	io.ReaderAt
	io.Writer
	io.Closer
	Sync() error
	Truncate(size int64) error
	size() (int64, error)
}

// A folder is the disk of the operating system.
type folder struct{ dir string }

type osFile struct{ *os.File }

func (f osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (d folder) list() (names []string, err error) {
	entries, err := os.ReadDir(d.dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (d folder) create(name string) (file, error) {
	f, err := os.OpenFile(filepath.Join(d.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	return osFile{f}, err
}

func (d folder) open(name string) (file, error) {
	f, err := os.Open(filepath.Join(d.dir, name))
	return osFile{f}, err
}

// replace gives name a new content at once and on the disk, or leaves the old.
func (d folder) replace(name string, text []byte) error {
	path := filepath.Join(d.dir, name)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (d folder) remove(name string) error { return os.Remove(filepath.Join(d.dir, name)) }

func (d folder) sync() error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// lock makes the directory this process's own until the file is closed or the
// process dies.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool.dir: %w: name a directory that this user may make and write", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("spool.dir: %w: name a directory that this user may write", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another collector uses it: give each collector a spool.dir of its own")
		}
		return nil, errors.Join(fmt.Errorf("spool.dir: %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// full tells that there is no room on the disk, which may help itself.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// gone tells that what cannot be read now cannot be read later.
func gone(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, fs.ErrNotExist)
}
