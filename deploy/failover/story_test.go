package failover

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/deploy/cells"
	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A story is an input cut into chapters, each a directory of files.
type story struct {
	t        *testing.T
	options  generate.Options
	chapters []map[string]string // text by file
}

// newStory has every oddity that the generator knows, on some nodes of two GPUs.
func newStory(t *testing.T, seed uint64, nodes, chapters int) *story {
	t.Helper()
	s := &story{t: t, options: generate.Defaults()}
	s.options.Seed, s.options.Nodes = seed, nodes
	t.Logf("generate seed %d", seed)
	dir := t.TempDir()
	if _, err := generate.Write(dir, s.options); err != nil {
		t.Fatal(err)
	}
	for range chapters {
		s.chapters = append(s.chapters, map[string]string{})
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.cut(filepath.Base(file), strings.SplitAfter(string(text), "\n"))
	}
	return s
}

// cut spreads the lines of a file over the chapters, in their order. Half of what is
// not an event is known from the start: without it there would be no rows.
func (s *story) cut(name string, lines []string) {
	head, early := "", 0
	if strings.HasSuffix(name, ".csv") {
		head, lines = lines[0], lines[1:]
	}
	if head != "" || name == "resources.ndjson" {
		early = len(lines) / 2
	}
	k, rest := len(s.chapters), lines[early:]
	for i := range k {
		part := rest[i*len(rest)/k : (i+1)*len(rest)/k]
		if i == 0 {
			part = append(slices.Clone(lines[:early]), part...)
		}
		if len(part) > 0 {
			s.chapters[i][name] = head + strings.Join(part, "")
		}
	}
}

// chapter is the directory of one chapter.
func (s *story) chapter(i int) string { return s.write(s.chapters[i : i+1]) }

// write makes a directory of some chapters.
func (s *story) write(chapters []map[string]string) string {
	s.t.Helper()
	files := map[string]string{}
	for _, c := range chapters {
		for name, text := range c {
			if _, more := files[name]; more && strings.HasSuffix(name, ".csv") {
				_, text, _ = strings.Cut(text, "\n")
			}
			files[name] += text
		}
	}
	dir := s.t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return dir
}

// horizon is that of the tick after a chapter: past most of what it says.
func (s *story) horizon(chapter int) int64 {
	return s.options.Start + s.options.Duration*int64(chapter+1)/int64(len(s.chapters)) + 60_000
}

// expected are the rows that the oracle makes of the chapters up to one.
func (s *story) expected(chapter int) []oracle.Row {
	s.t.Helper()
	opt := oracle.Defaults(time.Now().UnixMilli())
	until := s.horizon(chapter)
	opt.Until = &until
	ledger, err := oracle.Recompute(s.write(s.chapters[:chapter+1]), opt)
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.Collect(ledger.Rows())
}

// tell publishes a chapter, and the tick after it.
func (b *bench) tell(s *story, chapter int) (tick int64) {
	b.t.Helper()
	b.collect(s.chapter(chapter))
	return b.tick(s.horizon(chapter))
}

// figures are what a test has to show for itself.
type figures struct{ rows, revisions, commits, rollbacks, findings int }

// check holds what is published up to a chapter to the oracle, and everything said
// to being said once.
func (b *bench) check(s *story, chapter int) (f figures) {
	b.t.Helper()
	ledger, cost := cells.New(), b.read(schemas.StreamCost)
	var decoder wire.CostDecoder
	var costs schemas.Costs
	for _, rec := range cost.records {
		if err := decoder.Decode(&costs, rec); err != nil {
			b.t.Fatal(err)
		}
		ledger.Costs(&costs)
	}
	got, want := ledger.Rows(), s.expected(chapter)
	same(b.t, got, want)
	if n := ledger.Repeated(); n != 0 {
		b.t.Errorf("%d revisions of cells came twice", n)
	}
	b.lettersOnce()
	f = figures{rows: len(got), revisions: ledger.Revisions(), commits: cost.commits, rollbacks: cost.rollbacks, findings: b.revisionsOnce()}
	if b.t.Failed() {
		b.t.Fatalf("after chapter %d: %+v", chapter, f)
	}
	return f
}

// same holds two lists of rows to each other and shows the first that differ.
func same(t *testing.T, got, want []oracle.Row) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("the oracle has no rows to compare with")
	}
	lost, extra, i, k := 0, 0, 0, 0
	for i < len(got) || k < len(want) {
		var order int
		switch {
		case i == len(got):
			order = 1
		case k == len(want):
			order = -1
		default:
			order = got[i].Compare(&want[k])
		}
		switch {
		case order > 0:
			if lost++; lost <= 3 {
				t.Errorf("lost: %+v", want[k])
			}
			k++
		case order < 0:
			if extra++; extra <= 3 {
				t.Errorf("not the oracle's: %+v", got[i])
			}
			i++
		default:
			i, k = i+1, k+1
		}
	}
	if lost+extra > 0 {
		t.Errorf("%d rows lost, %d that the oracle does not have", lost, extra)
	}
}

// lettersOnce wants each report of the processors once.
func (b *bench) lettersOnce() {
	b.t.Helper()
	once := map[string]bool{schemas.ReasonNoStart: true, schemas.ReasonNoResource: true, schemas.ReasonPriceConflict: true}
	said := map[string]int{}
	var letters []schemas.DeadLetter
	for _, rec := range b.read(schemas.StreamDeadLetters).records {
		var err error
		if letters, err = wire.Decode(letters[:0], rec); err != nil {
			b.t.Fatal(err)
		}
		for i := range letters {
			if l := &letters[i]; once[l.Reason] {
				said[l.Reason+" "+l.Place+" "+l.Detail]++
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(said)) {
		if said[what] != 1 {
			b.t.Errorf("reported %d times: %s", said[what], what)
		}
	}
}

// findings are all revisions, in the order of each partition.
func (b *bench) findings() (all []schemas.Finding) {
	b.t.Helper()
	for _, rec := range b.read(schemas.StreamFindings).records {
		var err error
		if all, err = wire.Decode(all, rec); err != nil {
			b.t.Fatal(err)
		}
	}
	return all
}

// revisionsOnce wants the revisions 1, 2, 3, ... of each finding, once each.
func (b *bench) revisionsOnce() (revisions int) {
	b.t.Helper()
	last := map[string]int64{}
	for _, f := range b.findings() {
		if last[f.Finding]++; f.Revision != last[f.Finding] {
			b.t.Errorf("%s: revision %d came as number %d", f.Finding, f.Revision, last[f.Finding])
		}
		revisions++
	}
	return revisions
}
