package storage

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/schemas/wire/wiretest"
)

// 10,000 damaged records on each topic whose readers are sinks, and as many on those
// that processors judge: each that cannot be read of the former is a dead letter;
// what can be read, however odd, is stored; the good ones between are there.
func TestMutantsAreStoredOrToldOf(t *testing.T) {
	const mutants = 10_000
	e, p := newEngine(t), newPipe(t)
	good, err := wiretest.Records()
	if err != nil {
		t.Fatal(err)
	}
	m, err := wiretest.NewMutator(71)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want := map[string]bool{}
	for stream, rec := range good {
		switch stream {
		case schemas.StreamTicks, schemas.StreamActivity, schemas.StreamNotices, schemas.StreamQuarantine:
			continue // no sink stores them
		}
		batch := make([]*kgo.Record, mutants)
		for i := range batch {
			batch[i] = m.Mutate(rec)
		}
		p.publish(kgo.TryCommit, batch...)
		for _, bad := range batch {
			if wire.Check(bad) != nil && (stream == schemas.StreamCost || stream == schemas.StreamFindings || stream == schemas.StreamDeadLetters) {
				want[fmt.Sprintf("topic %s partition %d offset %d", bad.Topic, bad.Partition, bad.Offset)] = true
			}
		}
	}
	p.publish(kgo.TryCommit, p.record(fact{gpu: "good", state: active, finality: final}), encode(p, schemas.Tag{Match: "user=good", Set: "team=x", From: origin}))
	p.run(e.DSN(), "g")
	e.want("gpu", "gpumeter.cost WHERE gpu = 'good'", "good")
	e.want("match", "gpumeter.tags WHERE match = 'user=good'", "user=good")
	for _, place := range e.text("SELECT place FROM gpumeter.dead_letters WHERE reason = 'corrupt'") {
		if !want[place] {
			t.Errorf("a letter about %s, which can be read, or twice", place)
		}
		delete(want, place)
	}
	if len(want) > 0 {
		t.Errorf("no letter for %d records", len(want))
	}
}
