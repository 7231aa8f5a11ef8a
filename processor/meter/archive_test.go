package meter

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// reasons keeps what a meter says of archives that it rebuilds.
type reasons struct {
	slog.Handler
	mu  sync.Mutex
	all []string
}

func (r *reasons) Enabled(context.Context, slog.Level) bool { return true }

func (r *reasons) Handle(_ context.Context, rec slog.Record) error {
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key == "reason" {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.all = append(r.all, a.Value.String())
		}
		return true
	})
	return nil
}

func (r *reasons) WithAttrs([]slog.Attr) slog.Handler { return r }

func (r *reasons) with(part string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reason := range r.all {
		if strings.Contains(reason, part) {
			n++
		}
	}
	return n
}

// archived is a meter with the real engine, which holds next to nothing in memory.
func (c *cluster) archived(name, dir string, more ...kgo.Opt) (Config, *reasons) {
	cfg, said := c.config(name, more...), &reasons{}
	cfg.NewEngine, cfg.Engine, cfg.StateDir, cfg.Log = nil, rules(), dir, slog.New(said)
	return cfg, said
}

// A meter that starts again goes on from its archives, and what comes then changes
// cells of any age. Whatever has happened to the archives meanwhile is said, and
// changes nothing.
func TestArchives(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		happens func(t *testing.T, dir, older string)
		reason  string
	}{
		"nothing":       {func(*testing.T, string, string) {}, ""},
		"gone":          {func(t *testing.T, dir, _ string) { must(t, os.RemoveAll(dir)) }, "there is none"},
		"older":         {replace, ""},
		"older by half": {replaceOne, ""},
		"a byte":        {func(t *testing.T, dir, _ string) { eachFile(t, dir, flip) }, ""},
		"cut short":     {func(t *testing.T, dir, _ string) { eachFile(t, dir, cut) }, ""},
		"files gone":    {func(t *testing.T, dir, _ string) { eachFile(t, dir, os.Remove) }, ""},
		"one file gone": {func(t *testing.T, dir, _ string) { manifests(t, dir) }, "MANIFEST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, chapters, horizon := newCluster(t), fleet(), fleetEnd
			dir, older := t.TempDir(), t.TempDir()
			run := func(horizon int64, chapters ...chapter) *reasons {
				cfg, said := c.archived("a", dir)
				m := start(t, cfg)
				for i := range chapters {
					c.publish(&chapters[i])
				}
				c.finish(horizon)
				m.stop()
				return said
			}
			none := run(horizon-420_000, chapters[0]).with("there is none")
			if none != testPartitions {
				t.Errorf("%d archives were made, want %d", none, testPartitions)
			}
			must(t, os.CopyFS(older, os.DirFS(dir)))
			if said := run(horizon - 240_000); len(said.all) > 0 {
				t.Errorf("a restart rebuilt: %v", said.all)
			}
			test.happens(t, dir, older)
			said := run(horizon, chapters[1])
			if test.reason != "" && said.with(test.reason) != testPartitions {
				t.Errorf("reasons %v, want %q", said.all, test.reason)
			}
			if (name == "nothing" || strings.HasPrefix(name, "older")) && len(said.all) > 0 {
				t.Errorf("rebuilt: %v", said.all)
			}
			c.checkFacts(chapters)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, dir, older string) {
	must(t, os.RemoveAll(dir))
	must(t, os.CopyFS(dir, os.DirFS(older)))
}

func replaceOne(t *testing.T, dir, older string) {
	const one = "samples-1"
	replace(t, filepath.Join(dir, one), filepath.Join(older, one))
}

// eachFile does something to every second file that holds data.
func eachFile(t *testing.T, dir string, do func(path string) error) {
	n := 0
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "LOCK") {
			return err
		}
		if n++; n%2 == 0 {
			return nil
		}
		return do(path)
	}))
}

// manifests removes the files that say which others belong to an archive.
func manifests(t *testing.T, dir string) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "MANIFEST-*"))
	must(t, err)
	for _, path := range paths {
		must(t, os.Remove(path))
	}
}

func flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return err
	}
	b[len(b)/2] ^= 0x40
	return os.WriteFile(path, b, 0o600)
}

func cut(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size()/2)
}

// tags are what the archives in dir are as of.
func tags(t *testing.T, dir string) map[int32]tag {
	t.Helper()
	all := map[int32]tag{}
	for n := range int32(testPartitions) {
		d, err := archive.Open(filepath.Join(dir, fmt.Sprintf("samples-%d", n)), slog.New(slog.DiscardHandler))
		must(t, err)
		text, err := d.Tag()
		must(t, err)
		must(t, d.Close())
		var a tag
		must(t, json.Unmarshal(text, &a))
		all[n] = a
	}
	return all
}

// What has expired from the topic is still in the archives: late events restate it.
func TestArchivesOutliveTheTopic(t *testing.T) {
	t.Parallel()
	c, chapters, horizon, dir := newCluster(t), fleet(), fleetEnd, t.TempDir()
	cfg, _ := c.archived("a", dir)
	m := start(t, cfg)
	for range 3 * firstLength { // a trail knows steps of so many records only
		for _, b := range chapters[0].samples[:8] {
			if b.TS[0] < t0+120_000 {
				c.produce(b)
			}
		}
	}
	c.publish(&chapters[0])
	c.finish(horizon - 240_000)
	m.stop()
	expired := int64(0)
	for n, a := range tags(t, dir) {
		c.expire(schemas.StreamSamples, n, a.Again)
		expired += a.Again
	}
	if expired == 0 {
		t.Fatal("the archives need all samples again: the test proves nothing")
	}
	cfg, said := c.archived("a", dir)
	start(t, cfg)
	c.publish(&chapters[1])
	c.finish(horizon)
	c.checkFacts(chapters)
	if len(said.all) > 0 {
		t.Errorf("rebuilt: %v", said.all)
	}
}

// An archive that needs expired samples is rebuilt of what is there. It and those
// who begin with it leave alone what was published of the time before.
func TestArchiveOfAShorterTopic(t *testing.T) {
	t.Parallel()
	c, chapters, horizon, dir := newCluster(t), fleet(), fleetEnd, t.TempDir()
	run := func(then func()) *reasons {
		cfg, said := c.archived("a", dir)
		m := start(t, cfg)
		await(t, "recovery", func() bool { return len(m.Progress()) == testPartitions })
		then()
		m.stop()
		return said
	}
	run(func() {
		c.publish(&chapters[0])
		c.produce(samplesAt("node-0", "g0", horizon-230_000)) // hot, whatever else is cold
		c.finish(horizon - 240_000)
	})
	short := 0
	positions := c.positions()
	for n, a := range tags(t, dir) {
		if end := positions[n].offset; end > 0 {
			c.expire(schemas.StreamSamples, n, end)
			if a.Again < end {
				short++
			}
		}
	}
	if short == 0 {
		t.Fatal("no archive needs samples again: the test proves nothing")
	}
	if said := run(func() {}); said.with("needs samples") != short {
		t.Errorf("rebuilt: %v, want %d", said.all, short)
	}
	rebuilt := tags(t, dir)
	lost := int64(0)
	for _, a := range rebuilt {
		lost = max(lost, a.Lost)
	}
	if want := horizon - 300_000; lost != want {
		t.Errorf("lost before %d, want %d", lost, want)
	}
	before := c.costsBefore(rebuilt)
	if said := run(func() {
		c.publish(&chapters[1])
		c.finish(horizon)
	}); len(said.all) > 0 {
		t.Errorf("a restart rebuilt: %v", said.all)
	}
	if after := c.costsBefore(rebuilt); after != before || before == 0 {
		t.Errorf("%d rows of cells whose samples are gone, were %d", after, before)
	}
	late := 0
	for _, l := range c.letters() {
		if l.Reason == schemas.ReasonTooLate {
			late++
		}
	}
	if late == 0 {
		t.Error("nobody was told that it is too late")
	}
}

// costsBefore counts the published rows of windows before what a partition has lost.
func (c *cluster) costsBefore(tags map[int32]tag) (rows int) {
	c.t.Helper()
	var dec wire.CostDecoder
	for _, rec := range c.readAll(schemas.StreamCost) {
		var costs schemas.Costs
		must(c.t, dec.Decode(&costs, rec))
		for i := range costs.Len() {
			for n, a := range tags {
				if keyed(n, testPartitions)(text(costs.Node, i)) && costs.Window[i] < a.Lost {
					rows++
				}
			}
		}
	}
	return rows
}

// An archive of another ledger, other rules or another time is of no use.
func TestJudge(t *testing.T) {
	at := Position{Refs: Refs{5, 5, 5, 5, 5}, Horizon: 1000, Applied: 3}
	committed := state{offset: 10, known: true, position: at}
	s, p := &shell{ledger: "mine", guard: &quarantine.Guard{}}, &partition{committed: committed}
	tagged := func(ledger string, samples int64, p Position) string {
		return fmt.Sprintf(`{"Ledger":%q,"Samples":%d,"Again":2,"Position":%q}`, ledger, samples, p)
	}
	more := func(change func(*Position)) Position {
		p := at
		change(&p)
		return p
	}
	for name, test := range map[string]struct {
		text   string
		reason string
	}{
		"same":             {tagged("mine", 10, at), ""},
		"older":            {tagged("mine", 9, more(func(p *Position) { p.Horizon, p.Refs[2] = 900, 4 })), ""},
		"another ledger":   {tagged("yours", 10, at), "another ledger"},
		"newer samples":    {tagged("mine", 11, at), "beyond"},
		"newer references": {tagged("mine", 10, more(func(p *Position) { p.Refs[3] = 6 })), "beyond"},
		"newer horizon":    {tagged("mine", 10, more(func(p *Position) { p.Horizon = 1001 })), "beyond"},
		"no tag":           {"{", "cannot be read"},
		"no position":      {`{"Ledger":"mine","Position":"here"}`, "not a position"},
	} {
		a, why := s.judge([]byte(test.text), p, 2)
		if !strings.Contains(why, test.reason) || (why == "") != (test.reason == "") || (a == nil) != (why != "") {
			t.Errorf("%s: %v, reason %q, want %q", name, a, why, test.reason)
		}
	}
	if _, why := s.judge([]byte(tagged("mine", 10, at)), p, 3); !strings.Contains(why, "needs samples from offset 2") {
		t.Errorf("of an archive whose samples have expired: %q", why)
	}
	if _, why := s.judge([]byte(tagged("mine", 10, at)), &partition{committed: state{offset: -1}}, 0); why == "" {
		t.Error("an archive without anything committed was taken")
	}
}

// What an archive may hold of records that are passed over now depends on where they
// lie, and on whether its owner did without them.
func TestArchivesReach(t *testing.T) {
	a := saved{tag: tag{Samples: 10}, position: Position{Refs: Refs{3, 4, 5, 6, 7}}}
	for place, want := range map[quarantine.Place]bool{
		{Topic: samplesTopic(), Partition: 2, Offset: 9}:    true,
		{Topic: samplesTopic(), Partition: 2, Offset: 10}:   false,
		{Topic: samplesTopic(), Partition: 1, Offset: 9}:    false,
		{Topic: processesTopic(), Partition: 2, Offset: 9}:  false,
		{Topic: refTopic(refAllocations), Offset: 2}:        true,
		{Topic: refTopic(refAllocations), Offset: 3}:        false,
		{Topic: refTopic(refTags), Partition: 0, Offset: 5}: true,
	} {
		if a.reaches(place, 2) != want {
			t.Errorf("%s: %t", place, !want)
		}
	}
}

// An engine that rereads a topic into an empty archive moves as far as what it has
// read is old, lest all that follows be late, and not beyond what is committed, lest
// cells count as published that were not.
func TestRebuildingGoesAsFarAsWasRead(t *testing.T) {
	d, err := archive.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	must(t, err)
	defer func() { must(t, d.Close()) }()
	moved := &movements{}
	s := &shell{Meter: &Meter{rebuildRows: 10}, guard: &quarantine.Guard{}}
	p := &partition{engine: moved, archive: d, reach: 1000}
	for _, read := range []struct{ rows, time int64 }{{9, 300}, {1, 400}, {9, 500}, {2, 700}, {10, 2000}} {
		p.next, p.time = p.next+1, read.time
		must(t, s.catchUp(p, read.rows))
	}
	if want := []int64{400, 700, 1000}; !slices.Equal(moved.to, want) {
		t.Errorf("moved to %v, want %v", moved.to, want)
	}
	if tag, err := d.Tag(); tag != nil || err != nil {
		t.Errorf("an unfinished archive has the tag %q (%v)", tag, err)
	}
}

// movements notes where an engine is moved to.
type movements struct {
	Engine
	to []int64
}

func (m *movements) Advance(horizon int64, _ bool, _ engine.Output) { m.to = append(m.to, horizon) }

// A member with an archive dies at its k-th write, and its successor begins with
// the archive: it is never ahead of what is committed.
func TestCrashWithArchive(t *testing.T) {
	for k := int64(1); k <= 9; k++ {
		for _, seen := range []bool{false, true} {
			t.Run(fmt.Sprintf("write=%d/seen=%t", k, seen), func(t *testing.T) {
				t.Parallel()
				crashWithArchive(t, k, seen)
			})
		}
	}
}

func crashWithArchive(t *testing.T, k int64, seen bool) {
	c, chapters, horizon := newCluster(t), fleet(), fleetEnd
	dir := t.TempDir()
	var wire cable
	crashed := make(chan struct{})
	c.onWrite("victim", func(n int64, _ kmsg.Request) (kmsg.Response, error, bool) {
		if n == k {
			wire.pull()
			close(crashed)
		}
		return nil, errCut, n > k || n == k && !seen
	})
	cfg, _ := c.archived("victim", dir, wire.options()...)
	victim := start(t, cfg)
	ticks := 0
	for h := horizon - 400_000; h <= horizon-100_000; h += 100_000 {
		if ticks < len(chapters) {
			c.publish(&chapters[ticks])
			ticks++
		}
		tick := rows(c, schemas.Tick{Horizon: h})
		await(t, "the victim to go on or die", func() bool { return isClosed(crashed) || c.applied(tick) })
	}
	if !isClosed(crashed) {
		t.Fatalf("the victim never came to write %d", k)
	}
	if err := victim.end(); err != nil {
		t.Logf("the victim ended: %v", err)
	}
	heir, said := c.archived("heir", dir)
	start(t, heir)
	c.finish(horizon)
	c.checkFacts(chapters)
	if n := said.with("beyond"); n > 0 {
		t.Errorf("%d archives were ahead of what was committed: %v", n, said.all)
	}
}
