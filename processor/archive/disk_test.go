package archive

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t rapid.TB, dir string) *Disk {
	t.Helper()
	d, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func closed(t rapid.TB, d *Disk) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whatever is done to it, a Disk is a Memory as of its last Commit.
func TestDiskIsMemory(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			r.Fatal(err)
		}
		d, m := open(r, dir), &Memory{}
		defer func() { closed(r, d) }()
		committed, tag := m.Clone(), []byte(nil)
		key := func(name string) []byte { return []byte(rapid.StringMatching("[a-c]{1,2}").Draw(r, name)) }
		r.Repeat(map[string]func(*rapid.T){
			"put": func(r *rapid.T) {
				k, v := key("key"), rapid.SliceOf(rapid.Byte()).Draw(r, "value")
				must(r, d.Put(k, v), m.Put(k, v))
			},
			"delete": func(r *rapid.T) {
				from, to := ordered(key("from"), key("to"))
				must(r, d.Delete(from, to), m.Delete(from, to))
			},
			"commit": func(r *rapid.T) {
				tag = []byte(rapid.StringMatching("[x-z]+").Draw(r, "tag"))
				must(r, d.Commit(tag))
				committed = m.Clone()
			},
			"die": func(r *rapid.T) {
				closed(r, d)
				d, m = open(r, dir), committed.Clone()
				if got, err := d.Tag(); err != nil || !bytes.Equal(got, tag) {
					r.Fatalf("tag %q, want %q (%v)", got, tag, err)
				}
			},
			"": func(r *rapid.T) { same(r, d, m, key) },
		})
	})
}

func same(r *rapid.T, d *Disk, m *Memory, key func(string) []byte) {
	from, to := ordered(key("from"), key("to"))
	a, err1 := d.Get(from)
	b, err2 := m.Get(from)
	if must(r, err1, err2); !bytes.Equal(a, b) || (a == nil) != (b == nil) {
		r.Fatalf("%q: %q, want %q", from, a, b)
	}
	for name, ends := range map[string][2]func(from, to []byte) (key, value []byte, err error){"first": {d.First, m.First}, "last": {d.Last, m.Last}} {
		k1, v1, err1 := ends[0](from, to)
		k2, v2, err2 := ends[1](from, to)
		if must(r, err1, err2); !bytes.Equal(k1, k2) || !bytes.Equal(v1, v2) || (k1 == nil) != (k2 == nil) {
			r.Fatalf("%s of [%q, %q): %q %q, want %q %q", name, from, to, k1, v1, k2, v2)
		}
	}
	var got, want [][]byte
	keep := func(all *[][]byte) func(key, value []byte) error {
		return func(key, value []byte) error {
			*all = append(*all, slices.Concat(key, []byte("="), value))
			return nil
		}
	}
	must(r, d.Scan(from, to, keep(&got)), m.Scan(from, to, keep(&want)))
	if !slices.EqualFunc(got, want, bytes.Equal) {
		r.Fatalf("[%q, %q): %q, want %q", from, to, got, want)
	}
}

func must(t rapid.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func ordered(a, b []byte) ([]byte, []byte) {
	if bytes.Compare(a, b) > 0 {
		return b, a
	}
	return a, b
}

func TestOneOwner(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if _, err := Open(dir, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrInUse) {
		t.Errorf("a second owner got %v", err)
	}
	closed(t, d)
	closed(t, open(t, dir))
}

// Any byte of any file that is changed, and any file that is cut short or gone: all
// reads say so or give what was written.
func TestDamageIsSeen(t *testing.T) {
	whole := t.TempDir()
	value := bytes.Repeat([]byte("0123456789abcdef"), 64)
	for _, tag := range []string{"old", "new"} { // two owners, one after the other
		d := open(t, whole)
		for i := range damagedKeys(tag) {
			must(t, d.Put([]byte{byte(i >> 8), byte(i)}, slices.Concat(value, []byte(tag))))
		}
		must(t, d.Commit([]byte(tag)))
		closed(t, d)
	}
	files, err := os.ReadDir(whole)
	must(t, err)
	for _, f := range files {
		info, err := f.Info()
		must(t, err)
		for k := range int64(12) {
			work := t.TempDir()
			must(t, os.CopyFS(work, os.DirFS(whole)))
			at := info.Size() * k / 12
			damage(t, filepath.Join(work, f.Name()), at, k)
			if wrong, seen := readAll(work, value); wrong != "" {
				t.Errorf("%s of %d bytes damaged at %d (%d): %s, seen %v", f.Name(), info.Size(), at, k%3, wrong, seen)
			}
		}
	}
}

// damage changes a byte of a file, cuts it there, or removes it.
func damage(t *testing.T, path string, at, how int64) {
	b, err := os.ReadFile(path)
	must(t, err)
	switch {
	case how%3 == 0 && len(b) > 0:
		b[at] ^= 0x55
	case how%3 == 1:
		b = b[:at]
	case how%3 == 2:
		must(t, os.Remove(path))
		return
	}
	must(t, os.WriteFile(path, b, 0o600))
}

// damagedKeys is how many keys TestDamageIsSeen writes under a tag.
func damagedKeys(tag string) int {
	if tag == "old" {
		return 2000
	}
	return 100
}

// readAll reads the archive of TestDamageIsSeen, which is to be as of its tag.
func readAll(dir string, value []byte) (wrong string, seen error) {
	d, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	defer d.Close() // what is damaged may not close well
	tag, err := d.Tag()
	if err != nil || tag == nil { // without a tag it is of no use
		return "", err
	}
	for i := range damagedKeys("old") {
		want := string(tag)
		if i >= damagedKeys(want) {
			want = "old"
		}
		got, err := d.Get([]byte{byte(i >> 8), byte(i)})
		if err != nil {
			return "", err
		}
		if !bytes.Equal(got, slices.Concat(value, []byte(want))) {
			return "the tag is " + string(tag) + ", and a key has another value", nil
		}
	}
	return "", nil
}
