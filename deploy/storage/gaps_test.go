package storage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// What expired before it was stored is a dead letter, and the sink goes on behind
// it; one that comes later has nothing to add.
func TestExpiredBeforeItWasStored(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	tag := func(n int) *kgo.Record {
		return encode(p, schemas.Tag{Match: fmt.Sprintf("user=%d", n), Set: "team=x", From: origin})
	}
	p.publish(kgo.TryCommit, tag(0), tag(1))
	p.run(e.DSN(), "g")
	p.publish(kgo.TryCommit, tag(2), tag(3)) // offsets 3 and 4; a marker has one, too
	p.publish(kgo.TryCommit, tag(4))
	if err := p.cluster.DeleteRecords(schemas.Prefix+schemas.StreamTags, 0, 6); err != nil {
		t.Fatal(err)
	}
	p.run(e.DSN(), "g")
	p.run(e.DSN(), "g")
	e.want("match", "gpumeter.tags ORDER BY match", "user=0", "user=1", "user=4")
	e.want("stream, place, reason, toString(count), state", "gpumeter.dead_letters", "tags|topic gpumeter.tags partition 0 offset 3|gap|3|open")
}

// A sink commits no record whose letter it could not store.
func TestLettersThatCannotBeStoredStopTheSink(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	exec := func(sql string) {
		t.Helper()
		if err := e.conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("RENAME TABLE gpumeter.dead_letters_log TO gpumeter.away")
	damaged := &kgo.Record{Topic: schemas.Prefix + schemas.StreamCost, Value: []byte("noise")}
	p.publish(kgo.TryCommit, damaged, p.record(fact{gpu: "g", state: active, finality: final}))
	if err := p.launch(p.sink(e.DSN(), "g", 100, 1<<20)).ends(); err == nil || !strings.Contains(err.Error(), "dead_letters_log") {
		t.Errorf("the sink ended: %v", err)
	}
	committed, err := p.admin.FetchOffsets(t.Context(), "g")
	if o, ok := committed.Lookup(damaged.Topic, 0); ok && o.At > damaged.Offset {
		t.Errorf("committed to %d: %v", o.At, err)
	}
	exec("RENAME TABLE gpumeter.away TO gpumeter.dead_letters_log")
	p.run(e.DSN(), "g")
	e.want("gpu", "gpumeter.cost", "g")
	e.want("place, reason", "gpumeter.dead_letters", "topic gpumeter.cost partition 0 offset 0|corrupt")
}
