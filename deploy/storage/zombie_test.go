package storage

import (
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// A sink is frozen before its insert for longer than its session. Another one of
// the group stores everything, newer facts and newer readings of the same keys
// among them. Then the first wakes up and inserts what it had in hand. Nothing
// newer is overwritten, nothing is double, and the first works on.
func TestZombieWritesLast(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	e.keepParts()
	x := newProxy(t, strings.TrimPrefix(e.DSN(), "clickhouse://default@"))
	reached := x.lurk(clickhouse.TableCells, before)
	zombie := p.spawn(p.sink("clickhouse://default@"+x.address(), "g", 100_000, 16<<20))
	p.round(0)
	reach(t, "the zombie's insert", reached)
	if err := zombie.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.evict("g")

	p.publish(kgo.TryCommit, p.samplesOf(0, 900_000), p.record(fact{gpu: "g1", window: 1, allocation: "newer", state: active, finality: final, restated: 1, cost: 77}))
	p.round(1)
	p.run(e.DSN(), "g")
	had := e.stored("cells")
	const newest = "toString(round(sum(utilization), 3)), toString((SELECT count() FROM gpumeter.cost WHERE allocation = 'newer'))"
	e.want(newest, "gpumeter.samples", "5.6|1")

	x.free()
	if err := zombie.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, "the zombie to write", func() bool { return e.stored("cells") > had })
	p.round(2)
	p.drain("g")
	if got := e.stored("samples_log"); got < 20 { // 4 + 4 newer + 4 + at least 4 of the zombie + 4
		t.Errorf("%d samples were inserted: the zombie wrote nothing", got)
	}
	zombie.stop()
	apart := e.shown()
	e.want("toString(round(sum(utilization), 3))", "gpumeter.samples", "7.6")
	e.merge()
	merged := e.shown()
	want := e.once(p)
	e.same(apart, want)
	e.same(merged, want)
}
