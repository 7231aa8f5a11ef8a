package failover

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/processor/idle"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

const (
	t0 = 1_780_279_200_000 // Unix ms
	// Each act has jobs of its own, some of them idle for longer than an alert takes.
	jobsAnAct    = 11
	secondsOfAct = 70
)

// say publishes a second of an act: each of its jobs is idle or works in it.
func (b *bench) say(act, second int) {
	b.t.Helper()
	at := int64(t0 + 1000*(act*secondsOfAct+second))
	var records []*kgo.Record
	for p := range partitions {
		var rows []schemas.Activity
		for job := act * jobsAnAct; job < (act+1)*jobsAnAct; job++ {
			if job%partitions != p {
				continue
			}
			state := uint32(schemas.StateIdleHeld)
			if job%5 == 0 {
				state = uint32(schemas.StateActive)
			}
			rows = append(rows, schemas.Activity{
				Allocation: fmt.Sprintf("job-%03d", job), Node: "n", GPU: fmt.Sprint("g", job), State: state, Width: 1, Held: at - int64(second)*1000,
				From: at - 1000, To: at, Currency: "USD", Cost: 1_000_000, PerHour: 3_600_000_000,
			})
		}
		rec, err := wire.Encode("", append(rows, schemas.Activity{From: at, To: at}))
		if err != nil {
			b.t.Fatal(err)
		}
		rec.Partition = int32(p)
		records = append(records, rec)
	}
	if err := b.client.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// undisturbed are the findings of one detector for each partition that reads the
// activity from start to end.
func (b *bench) undisturbed() (all []schemas.Finding) {
	b.t.Helper()
	detectors := map[int32]*idle.Detector{}
	for _, rec := range b.read(schemas.StreamActivity).records {
		if detectors[rec.Partition] == nil {
			d, err := idle.New(rule())
			if err != nil {
				b.t.Fatal(err)
			}
			detectors[rec.Partition] = d
		}
		rows, err := wire.Decode([]schemas.Activity(nil), rec)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, detectors[rec.Partition].Add(rec.Offset, rows)...)
	}
	return all
}

// sameFindings holds all that was found to what an undisturbed detector finds.
func (b *bench) sameFindings() (n int) {
	b.t.Helper()
	want, got := b.undisturbed(), b.findings()
	for _, list := range [][]schemas.Finding{want, got} {
		slices.SortFunc(list, func(a, b schemas.Finding) int {
			return cmp.Or(cmp.Compare(a.Finding, b.Finding), cmp.Compare(a.Revision, b.Revision))
		})
	}
	for i := range min(len(want), len(got)) {
		if !reflect.DeepEqual(got[i], want[i]) {
			b.t.Fatalf("found:\n%+v, an undisturbed detector finds:\n%+v", got[i], want[i])
		}
	}
	if len(got) != len(want) {
		b.t.Fatalf("%d findings, an undisturbed detector has %d", len(got), len(want))
	}
	return len(got)
}

// A detector dies at a step of its commit, and its successor at the next one, and so
// on. After each takeover the findings are those of a detector that never died.
func TestDetectorDiesAtEachStepOfACommit(t *testing.T) {
	t.Parallel()
	b := newBench(t, kafka.Options{})
	all := dooms("detect", steps(2), often()...)
	next := b.start("runner", all[0])
	act := -1
	for i, d := range all {
		await(t, "a detector that has read all", b.detected)
		b.sameFindings()
		runner := next
		runner.arm()
		for second := secondsOfAct; !runner.ended(); second++ {
			if second == secondsOfAct {
				second, act = 0, act+1
			}
			if act > 4*(i+1) {
				t.Fatalf("%+v: it never came to it", d)
			}
			b.say(act, second+1)
			select {
			case <-runner.done:
			case <-time.After(20 * time.Millisecond): // for transactions of their own
			}
		}
		runner.killed()
		name, after := "runner", doom{}
		if i%3 == 2 {
			name = fmt.Sprintf("runner-%d", i)
		}
		if i+1 < len(all) {
			after = all[i+1]
		}
		next = b.start(name, after)
	}
	await(t, "the detectors", b.detected)
	findings := b.sameFindings()
	next.stop()
	found := b.read(schemas.StreamFindings)
	recoveries, _ := b.recoveries()
	t.Logf("%d deaths; %d acts of %d jobs, %d findings, %d commits and %d rollbacks on their partitions, %d recoveries",
		len(all), act+1, jobsAnAct, findings, found.commits, found.rollbacks, recoveries)
	if found.rollbacks == 0 || findings == 0 {
		t.Error("no transaction was rolled back, or nothing was found: the deaths missed")
	}
}
