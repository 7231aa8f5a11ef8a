package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every contract case gives the rows of its expect.tsv, all at once at the end of
// a replay.
func TestContractCases(t *testing.T) {
	eachCase(t, func(t *testing.T, dir string) {
		in := load(t, dir)
		e := newEngine(t, configOf(t, dir))
		in.feed(e)
		got := newLedger(t)
		e.Advance(in.horizon, true, got)
		for _, file := range []string{"expect.tsv", "columns.tsv"} {
			if want, ok := expected(t, filepath.Join(dir, file)); ok {
				columns, _, _ := strings.Cut(want, "\n")
				same(t, got.table(strings.Split(columns, "\t")), want)
			}
		}
		for k := range got.cells {
			if !got.final[k] {
				t.Errorf("%v is not final at the end of a replay", k)
			}
		}
	})
}

// eachCase runs f on the project's cases and on the shared ones beside the
// checkout, or in the folder that GPUMETER_SHARED names.
func eachCase(t *testing.T, f func(t *testing.T, dir string)) {
	root := filepath.Join("..", "..")
	shared := os.Getenv("GPUMETER_SHARED")
	if shared == "" {
		shared = filepath.Join(root, "..", "shared")
	}
	for name, dir := range map[string]string{
		"own":    filepath.Join(root, "schemas", "testdata", "contract"),
		"shared": filepath.Join(shared, "contract"),
	} {
		t.Run(name, func(t *testing.T) {
			cases, err := filepath.Glob(filepath.Join(dir, "*", "expect.tsv"))
			if err != nil {
				t.Fatal(err)
			}
			if len(cases) == 0 {
				t.Skipf("no contract cases in %s", dir)
			}
			for _, path := range cases {
				t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) { f(t, filepath.Dir(path)) })
			}
		})
	}
}

// expected is what a case expects; ok is false when it does not have the file.
func expected(t *testing.T, path string) (table string, ok bool) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b), true
}

// same compares two tables as sets of rows and shows the difference.
func same(t *testing.T, got, want string) {
	t.Helper()
	rows := func(s string) []string {
		all := strings.Split(strings.TrimRight(s, "\n"), "\n")
		slices.Sort(all)
		return all
	}
	a, b := rows(got), rows(want)
	if slices.Equal(a, b) {
		return
	}
	for _, r := range a {
		if !slices.Contains(b, r) {
			t.Errorf("too much: %s", r)
		}
	}
	for _, r := range b {
		if !slices.Contains(a, r) {
			t.Errorf("missing:  %s", r)
		}
	}
	if !t.Failed() {
		t.Error("a row is there more than once")
	}
}
