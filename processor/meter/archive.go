package meter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/gap"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
)

// What an engine does not hold in memory lies in an archive, one directory for
// each partition. Archives follow the transactions, never lead them: what an engine
// has put there is written after the commit that made it true, and the tag says as
// of which commit. So an archive is of use to a later owner if it belongs to this
// ledger and its tag is not beyond what the group has committed; all else is said,
// removed, and rebuilt from the topics, which are the truth.

// A tag says as of what an archive is.
type tag struct {
	Ledger   string // whose it is: see shell.ledger
	Samples  int64  // samples below this offset count
	Again    int64  // but those from this offset on are partly not in the archive
	Lost     int64  // windows that begin before this instant cannot be computed again
	Position string
	Passed   []quarantine.Place // records that it was known to do without
}

// A saved archive is one that a fresh engine can begin with.
type saved struct {
	tag
	position Position
}

// errSpoiled says that an archive was removed because it could not be read: the
// engines are to be made anew.
var errSpoiled = errors.New("an archive could not be read and was removed")

// rebuildRows is after how many samples an engine that rereads a whole topic is
// advanced, which lets it archive what is old: some ten MB.
const rebuildRows = 1 << 19

// ledgerOf names what cells and their fingerprints depend on beside the events: the
// topics by their ids, which a topic that is made anew does not inherit, and the
// rules. The number at its beginning goes up when the engine writes what a key of
// the archive holds in another way.
func (s *shell) ledgerOf(ctx context.Context) (string, error) {
	topics := append(make([]string, 0, 1+refCount), samplesTopic())
	for i := range refCount {
		topics = append(topics, refTopic(i))
	}
	listed, err := s.adm.ListTopics(ctx, topics...)
	if err = errors.Join(err, listed.Error()); err != nil {
		return "", fmt.Errorf("asking for the ids of the topics: %w", err)
	}
	c := s.cfg.Engine
	var b strings.Builder
	fmt.Fprintf(&b, "gpumeter-archive/3 group=%q partitions=%d window=%d grace=%d early=%d epsilon=%d idle_memory=%d hot=%d keep=%d from=%d",
		s.cfg.Group, s.partitions, c.Window, c.Grace, c.EarlyEvery, c.Epsilon, c.IdleMemory, c.Hot, c.KeepSamples, c.From)
	for _, topic := range topics {
		fmt.Fprintf(&b, " %s=%s", strings.TrimPrefix(topic, schemas.Prefix), listed[topic].ID)
	}
	return b.String(), nil
}

// begin gives p a fresh engine: over its archive if that is of use, else one that
// begins where samples are there.
func (s *shell) begin(p *partition, samples gap.Log) error {
	p.lost = s.lostBefore(p, samples)
	if s.cfg.StateDir == "" {
		return s.makeEngine(p)
	}
	lost := p.lost
	why, err := s.openArchive(p, samples.Start)
	if err != nil {
		return err
	}
	if why == "" {
		p.lost = p.saved.Lost // the archive has what the topic has no more
		if err := s.makeEngine(p); err != nil {
			why = err.Error()
		}
	}
	if why == "" {
		return nil
	}
	p.lost = lost
	return s.rebuild(p, why)
}

// makeEngine makes the engine of p, which holds all in memory unless p has an
// archive.
func (s *shell) makeEngine(p *partition) (err error) {
	cfg := s.cfg.Engine
	mine := keyed(p.number, s.partitions)
	cfg.Owns, cfg.Reports, cfg.ReportPrices = mine, mine, p.number == 0
	cfg.Partition = uint32(p.number)
	cfg.LostBefore = p.lost
	if p.archive != nil {
		cfg.Archive = p.archive
	}
	cfg.Backlog = s.step
	if p.engine, err = s.cfg.NewEngine(cfg); err != nil {
		return fmt.Errorf("making the engine of partition %d: %w", p.number, err)
	}
	return nil
}

func (s *shell) archiveDir(p *partition) string {
	return filepath.Join(s.cfg.StateDir, schemas.StreamSamples+"-"+strconv.Itoa(int(p.number)))
}

// openArchive opens the archive of p, whose samples begin at start in the topic. It
// says why it is of no use, if it is not.
func (s *shell) openArchive(p *partition, start int64) (why string, err error) {
	d, err := archive.Open(s.archiveDir(p), s.cfg.Log)
	switch {
	case errors.Is(err, archive.ErrInUse):
		return "", err
	case err != nil:
		return err.Error(), nil //nolint:nilerr // it is why the archive is of no use
	}
	p.archive = d
	text, err := d.Tag()
	if err != nil {
		return err.Error(), nil //nolint:nilerr // it is why the archive is of no use
	}
	if p.saved, why = s.judge(text, p, start); why != "" {
		p.saved = nil
	}
	return why, nil
}

// judge reads the tag of the archive of p, whose samples begin at start in the topic,
// and says why it is of no use, if it is not.
func (s *shell) judge(text []byte, p *partition, start int64) (*saved, string) {
	if text == nil {
		return nil, "there is none, or it was not finished"
	}
	var a saved
	if err := json.Unmarshal(text, &a.tag); err != nil {
		return nil, fmt.Sprintf("its tag cannot be read: %v", err)
	}
	var err error
	if a.position, err = ParsePosition(a.Position); err != nil {
		return nil, err.Error()
	}
	committed := p.committed
	switch c := committed.position; {
	case a.Ledger != s.ledger:
		return nil, fmt.Sprintf("it belongs to another ledger, topic or rules: %s, not %s", a.Ledger, s.ledger)
	case !committed.known || a.Samples > committed.offset || !a.position.Refs.below(c.Refs) || a.position.Horizon > c.Horizon:
		return nil, fmt.Sprintf("it is as of offset %d and %s, beyond what is committed: %d and %s", a.Samples, a.position, committed.offset, c)
	case a.Again < start:
		return nil, fmt.Sprintf("it needs samples from offset %d on, and the topic begins at %d", a.Again, start)
	}
	for _, place := range s.guard.Passed() {
		if a.reaches(place, p.number) && !slices.Contains(a.Passed, place) {
			return nil, fmt.Sprintf("it may hold what is passed over now: %s", place)
		}
	}
	return &a, ""
}

// reaches reports whether the record at a place was read by the engine of the
// partition whose archive a is.
func (a *saved) reaches(place quarantine.Place, partition int32) bool {
	for i := range refCount {
		if place.Topic == refTopic(i) {
			return place.Offset < a.position.Refs[i]
		}
	}
	return place.Topic == samplesTopic() && place.Partition == partition && place.Offset < a.Samples
}

// rebuild removes the archive of p and begins with an empty one.
func (s *shell) rebuild(p *partition, why string) error {
	s.cfg.Log.Warn("rebuilding the state of a partition from the topics", "partition", p.number, "directory", s.archiveDir(p), "reason", why)
	if err := s.removeArchive(p); err != nil {
		return err
	}
	d, err := archive.Open(s.archiveDir(p), s.cfg.Log)
	if err != nil {
		return err
	}
	p.archive = d
	return s.makeEngine(p)
}

func (s *shell) removeArchive(p *partition) error {
	p.close(s)
	p.saved = nil
	if err := os.RemoveAll(s.archiveDir(p)); err != nil {
		return fmt.Errorf("removing an archive that is of no use: %w", err)
	}
	return nil
}

// close closes the archive of p, if it has one.
func (p *partition) close(s *shell) {
	if p.archive == nil {
		return
	}
	if err := p.archive.Close(); err != nil {
		s.cfg.Log.Warn("the next owner may find it of no use", "error", err)
	}
	p.archive = nil
}

// save makes the archive of p one as of what is committed.
func (s *shell) save(p *partition) error {
	if p.archive == nil || p.committed.position.Horizon == 0 || !p.engine.Settled() {
		return nil
	}
	if window := p.committed.position.Horizon / s.cfg.Engine.Window; window != p.trail.window {
		p.trail.window = window
		p.trail.forget(p.engine.Oldest())
	}
	text, err := json.Marshal(tag{
		Ledger: s.ledger, Samples: p.committed.offset, Again: p.trail.begin(p.committed.offset), Lost: p.lost,
		Position: p.committed.position.String(), Passed: s.passed,
	})
	if err != nil {
		return fmt.Errorf("tagging an archive: %w", err)
	}
	return p.archive.Commit(text)
}

// sound reports whether the engine of p could read its archive. If not, the archive
// is removed.
func (s *shell) sound(p *partition) error {
	err := p.engine.Err()
	if err == nil {
		return nil
	}
	s.cfg.Log.Warn("removing an archive that cannot be read", "partition", p.number, "reason", err)
	return errors.Join(errSpoiled, s.removeArchive(p))
}

// resumesAt is the offset that the archive of p is as of.
func (p *partition) resumesAt() int64 {
	if p.saved == nil {
		return 0
	}
	return p.saved.Samples
}

// resumesAtRefs are the reference events that the archive of p is as of.
func (p *partition) resumesAtRefs() Refs {
	if p.saved == nil {
		return Refs{}
	}
	return p.saved.position.Refs
}

// catchUp lets an engine that rereads many samples archive what is old: it moves as
// far as what it has read allows, publishing nothing.
func (s *shell) catchUp(p *partition, rows int64) error {
	if p.archive == nil || p.reach == 0 || p.next <= p.resumesAt() {
		return nil
	}
	if p.unadvanced += rows; p.unadvanced < s.rebuildRows {
		return nil
	}
	p.unadvanced = 0
	s.guard.Rest() // a disk that fails here is not the record's doing
	p.engine.Advance(min(p.time, p.reach), false, nil)
	return p.archive.Commit(nil)
}

var _ engine.Archive = (*archive.Disk)(nil)
