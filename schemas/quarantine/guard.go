package quarantine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A Config says who reads, and where the note is.
type Config struct {
	Client []kgo.Opt // how to reach the brokers
	Group  string    // consumer group that passes records over
	Reader string    // names the goroutine among those of the group in one process
	Dir    string    // of the note, "" = none
	Log    *slog.Logger

	// Before, if given, is called with each record after its place was noted: tests
	// die there.
	Before func(*kgo.Record)
}

// A Guard notes what one goroutine reads and knows what it has to pass over. Its
// methods are for that goroutine, but for PassesOver and Refresh.
type Guard struct {
	cfg  Config
	desk *desk // nil without a directory

	mu     sync.Mutex
	passed map[Place]bool
}

// Start takes the note of the process before this one, writes a dead letter and
// a row of gpumeter.quarantine for each record that has killed twice, and reads
// what the group passes over. The topics must exist. Close the Guard.
func Start(ctx context.Context, cfg Config) (*Guard, error) {
	g := &Guard{cfg: cfg}
	if cfg.Dir != "" {
		var err error
		if g.desk, err = openDesk(cfg.Dir, cfg.Group+"-"+cfg.Reader); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(g.condemn(ctx), g.Refresh(ctx)); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Close says that nothing is being read.
func (g *Guard) Close() error {
	if g.desk == nil {
		return nil
	}
	return g.desk.leave()
}

// Reading notes that rec is read from now on.
func (g *Guard) Reading(rec *kgo.Record) {
	g.At(PlaceOf(rec))
	if g.cfg.Before != nil {
		g.cfg.Before(rec)
	}
}

// At is Reading where only the record's place is known.
func (g *Guard) At(place Place) {
	if g.desk != nil {
		g.noted(g.desk.say(reading, place))
	}
}

// Turn notes work on the n records of a turn together. A turn of one is still
// that record's.
func (g *Guard) Turn(n int) {
	if g.desk != nil && n > 1 {
		g.desk.careful = max(n, carefulTurns) // for the process after this one
		g.noted(g.desk.say(turning, Place{}))
	}
}

// Rest notes that no record is worked on: say so before waiting.
func (g *Guard) Rest() {
	if g.desk == nil || g.desk.what == resting {
		return
	}
	if g.desk.what == turning {
		g.desk.careful = 0 // the turn is over
	}
	g.desk.careful = max(0, g.desk.careful-1)
	g.noted(g.desk.say(resting, Place{}))
}

// noted gives the desk up when its disk fails: a note is no reason to stop.
func (g *Guard) noted(err error) {
	if err == nil {
		return
	}
	g.cfg.Log.Error("cannot note what is read; a record that kills this process will not be found", "error", err)
	_ = g.desk.file.Close()
	g.desk = nil
}

// Careful reports whether a turn is to be of one record only: the process before
// this one died in a turn of several.
func (g *Guard) Careful() bool { return g.desk != nil && g.desk.careful > 0 }

// PassesOver reports whether rec is not to be read.
func (g *Guard) PassesOver(rec *kgo.Record) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.passed) > 0 && g.passed[PlaceOf(rec)]
}

// Passed lists what is passed over.
func (g *Guard) Passed() []Place {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Keys(g.passed), func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
}

// condemn tells everybody of what has killed this reader twice. Dying in between
// does it again, with the same text.
func (g *Guard) condemn(ctx context.Context) error {
	if g.desk == nil || len(g.desk.killers()) == 0 {
		return nil
	}
	client, err := kgo.NewClient(append(broker.ProducerOptions(), g.cfg.Client...)...)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	defer client.Close()
	for _, place := range g.desk.killers() {
		if err := g.tell(ctx, client, place); err != nil {
			return err
		}
		if err := g.desk.forget(place); err != nil {
			return err
		}
		g.cfg.Log.Error("a record has ended this process twice; it is passed over from now on, see the dead letter",
			"topic", place.Topic, "partition", place.Partition, "offset", place.Offset, "group", g.cfg.Group)
	}
	return nil
}

func (g *Guard) tell(ctx context.Context, client *kgo.Client, place Place) error {
	topics, err := kadm.NewClient(client).ListTopics(ctx, place.Topic)
	if err != nil {
		return fmt.Errorf("quarantine: ask for the id of %s: %w", place.Topic, err)
	}
	letter, err := wire.Encode("", []schemas.DeadLetter{{
		Stream: place.Topic[min(len(place.Topic), len(schemas.Prefix)):], Place: place.String(), Reason: schemas.ReasonQuarantined,
		Detail: fmt.Sprintf("group %s passes it over: the process died %d times in a row while it read this record; find out of what (memory, a bug), mend that, then gpumeter dead-letters retry",
			g.cfg.Group, killsAfter),
		Count: 1,
	}})
	if err != nil {
		return fmt.Errorf("quarantine: encode the dead letter: %w", err)
	}
	row, err := wire.Encode("", []schemas.Quarantined{{
		Group: g.cfg.Group, Topic: place.Topic, TopicID: topics[place.Topic].ID.String(), Partition: place.Partition, Offset: place.Offset,
	}})
	if err != nil {
		return fmt.Errorf("quarantine: encode the row: %w", err)
	}
	// One after the other: nothing is passed over that was not told.
	for _, rec := range []*kgo.Record{letter, row} {
		if err := client.ProduceSync(ctx, rec).FirstErr(); err != nil {
			return fmt.Errorf("quarantine: write to %s: %w", rec.Topic, err)
		}
	}
	return nil
}
