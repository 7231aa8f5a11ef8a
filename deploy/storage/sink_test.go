package storage

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink"
)

// A pipe is a broker in process and a client of it.
type pipe struct {
	*testing.T
	cluster *kfake.Cluster
	config  broker.Config
	client  *kgo.Client
	admin   *kadm.Client
}

func newPipe(t *testing.T) *pipe {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	p := &pipe{T: t, cluster: cluster, config: broker.Config{Brokers: cluster.ListenAddrs()}}
	p.connect()
	if _, err := broker.Ensure(t.Context(), p.client, broker.DefaultLayout()); err != nil {
		t.Fatal(err)
	}
	return p
}

// connect makes the clients.
func (p *pipe) connect() {
	p.Helper()
	opts, err := p.config.Options("test")
	if err != nil {
		p.Fatal(err)
	}
	p.client, err = kgo.NewClient(append(append(opts, broker.ProducerOptions()...), kgo.TransactionalID("test"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(p.client.Close)
	asking, err := kgo.NewClient(opts...) // the other one remembers for seconds which topics were missing
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(asking.Close)
	p.admin = kadm.NewClient(asking)
}

// publish sends records in one transaction.
func (p *pipe) publish(end kgo.TransactionEndTry, records ...*kgo.Record) {
	p.Helper()
	if err := p.client.BeginTransaction(); err != nil {
		p.Fatal(err)
	}
	if err := p.client.ProduceSync(p.Context(), records...).FirstErr(); err != nil {
		p.Fatal(err)
	}
	if err := p.client.EndTransaction(p.Context(), end); err != nil {
		p.Fatal(err)
	}
}

func (p *pipe) record(facts ...fact) *kgo.Record {
	p.Helper()
	var encoder wire.CostEncoder
	rec, err := encoder.Encode(costs(facts...))
	if err != nil {
		p.Fatal(err)
	}
	rec.Key = []byte("node-1")
	return rec
}

func encode[T wire.Row](p *pipe, rows ...T) *kgo.Record {
	p.Helper()
	rec, err := wire.Encode("k", rows)
	if err != nil {
		p.Fatal(err)
	}
	return rec
}

// run runs a sink until the group has stored everything that is published.
func (p *pipe) run(dsn, group string) {
	p.Helper()
	stop := p.start(dsn, group)
	p.drain(group)
	stop()
}

// start runs a sink; stop ends it and checks that it ended in order.
func (p *pipe) start(dsn, group string) (stop func()) {
	p.Helper()
	cfg := sink.DefaultConfig()
	cfg.Broker, cfg.ClickHouse, cfg.Group = p.config, dsn, group
	cfg.Flush.Every = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- sink.Run(ctx, cfg, sink.Env{Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}})
	}()
	return func() {
		p.Helper()
		cancel()
		begin := time.Now()
		if err := <-done; err != nil {
			p.Errorf("the sink ended: %v", err)
		}
		if spent := time.Since(begin); spent > 10*time.Second {
			p.Errorf("the sink took %v to stop", spent)
		}
	}
}

func (p *pipe) drain(group string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 5*time.Minute)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		lag, err := sink.Lag(ctx, p.admin, group)
		if err == nil && lag == 0 {
			return
		}
		select {
		case <-ctx.Done():
			p.Fatalf("the sink does not catch up: lag %d, %v", lag, err)
		case <-poll.C:
		}
	}
}

func TestSinkStoresEveryStream(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	var samples wire.SampleEncoder
	sampled, err := samples.Encode(&schemas.Samples{
		Node: "node-1", Series: []schemas.Series{{GPU: "g", Model: "H100", Interval: 1000, MemoryTotal: 80 << 30}, {GPU: "h", Slice: "1g", MemoryTotal: schemas.Absent64}},
		Index: []uint16{0, 1}, TS: []int64{origin, origin + 500}, Utilization: []uint32{500_000, schemas.Absent32},
		SMActive: []uint32{schemas.Absent32, 1}, TensorActive: []uint32{0, 0}, DRAMActive: []uint32{0, 0}, MemoryUsed: []uint64{5, schemas.Absent64},
		Power: []uint32{250_500, schemas.Absent32}, Energy: []uint64{7, schemas.Absent64}, Temperature: []int16{-3, schemas.Absent16},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.publish(kgo.TryCommit, sampled, p.record(fact{gpu: "g", allocation: "a", state: active, finality: final, cost: 42}),
		encode(p, schemas.Allocation{
			TS: origin, Event: schemas.EventStart, Allocation: "a", HasGPUs: true, GPUs: []schemas.GPURef{{Node: "node-1", GPU: "g", Share: 500_000}},
			User: "u", Command: []string{"train", "--fast"}, HasLabels: true, Labels: []schemas.Label{{Key: "team", Value: "x"}}, ReqGPUs: 2, ReqWalltime: 60, SubmittedAt: origin - 1,
		}),
		encode(p, schemas.Resource{Node: "node-1", Resource: "r", GPUs: []string{"g", "h"}, From: origin, PricingCategory: "owned", Scheduler: true, IdleWatts: 90_500}),
		encode(p, schemas.Price{Provider: "p", PricingCategory: "owned", Currency: "USD", PerHour: 16_800_000_000, From: origin}),
		encode(p, schemas.Tag{Match: "user=u", Set: "team=x", From: origin, To: origin + 1, Priority: -1}),
		encode(p, schemas.Process{TS: origin, Node: "node-1", GPU: "g", PID: 7, SMUtilization: schemas.Absent32, MemoryUsed: 9}),
		encode(p, schemas.DeadLetter{Stream: "samples", Place: "f:1", Reason: schemas.ReasonBadJSON, Detail: "d", Payload: []byte{0xff, 0}, Count: 3}))
	p.publish(kgo.TryAbort, p.record(fact{gpu: "rolled back", state: active, finality: final, cost: 1}))
	p.run(e.DSN(), "one")
	p.run(e.HTTPURL(), "two") // everything once more, over the other protocol
	e.want(keyAndCost, "gpumeter.cost", "g|0|a|active|0.000000042|0")
	e.want("toString(count())", "gpumeter.cost_history", "1")
	e.want("gpu, slice, gpu_model, toString(interval_seconds), toString(memory_total_bytes), toString(utilization), toString(sm_active), toString(memory_used_bytes), toString(power_watts), toString(energy_joules), toString(temperature_celsius)",
		"gpumeter.samples ORDER BY gpu", "g||H100|1|85899345920|0.5|NULL|5|250.5|7|-3", "h|1g||10|NULL|NULL|0.000001|NULL|NULL|NULL|NULL")
	e.want("allocation, user, toString(command), toString(labels), toString(requested_gpus), toString(requested_walltime_seconds), state, toString(list_cost)",
		"gpumeter.allocations", "a|u|['train','--fast']|{'team':'x'}|2|60|running|0.000000042")
	e.want("toString(gpus)", "gpumeter.allocations_log FINAL", "[('node-1','g','',500000)]")
	e.want("resource, toString(gpus), toString(`to`), toString(scheduler), toString(idle_watts)", "gpumeter.resources", "r|['g','h']|NULL|true|90.5")
	e.want("currency, toString(price_per_hour), toString(effective_to), toString(known_at)", "gpumeter.prices", "USD|16.8|NULL|NULL")
	e.want("match, `set`, toString(priority)", "gpumeter.tags", "user=u|team=x|-1")
	e.want("toString(pid), toString(sm_utilization), toString(memory_used_bytes)", "gpumeter.processes", "7|NULL|9")
	e.want("stream, place, reason, hex(payload), toString(count)", "gpumeter.dead_letters", "samples|f:1|bad_json|FF00|3")
}

func TestDamagedRecordIsADeadLetterAndTheRestIsStored(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	damaged := p.record(fact{gpu: "x", state: active, finality: final})
	damaged.Value = append([]byte("damaged "), damaged.Value...)
	p.publish(kgo.TryCommit, damaged, p.record(fact{gpu: "g", state: active, finality: final, cost: 1}), &kgo.Record{Topic: schemas.Prefix + schemas.StreamTags, Value: []byte("noise")})
	p.run(e.DSN(), "g")
	e.want("gpu", "gpumeter.cost", "g")
	e.want("stream, place, reason, toString(startsWith(payload, 'damaged'))", "gpumeter.dead_letters", "cost|topic gpumeter.cost partition 0 offset 0|corrupt|1")
}

func TestRecreatedTopicStillWins(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	p.publish(kgo.TryCommit, p.record(fact{gpu: "g", allocation: "0", state: active, finality: final}), p.record(fact{gpu: "g", allocation: "1", state: active, finality: final}))
	p.run(e.DSN(), "g")
	e.want("allocation, toString(revision)", "gpumeter.cost", "1|1")
	fresh := newPipe(t) // its topic has another id, as a topic that was deleted and made again
	fresh.publish(kgo.TryCommit, fresh.record(fact{gpu: "g", allocation: "newest", state: active, finality: final}))
	fresh.run(e.DSN(), "g")
	e.want("allocation, toString(revision)", "gpumeter.cost", fmt.Sprintf("newest|%d", uint64(1)<<48))
	e.want("toString(generation)", "gpumeter.generations FINAL ORDER BY generation", "0", "1")
}

func TestKilledServerLosesNothingThatWasCommitted(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	stop := p.start(e.DSN(), "g")
	const records, each = 60, 50
	for n := range int64(records) {
		var facts []fact
		for i := range int64(each) {
			facts = append(facts, fact{gpu: fmt.Sprintf("g%d", i), window: n, allocation: "a", state: active, finality: final, cost: 1})
		}
		p.publish(kgo.TryCommit, p.record(facts...))
		if n%20 == 10 {
			killEngines(t)
		}
	}
	p.drain("g")
	stop()
	e.want("toString(count()), toString(uniqExact(gpu, window_start)), toString(sum(list_cost))", "gpumeter.cost", fmt.Sprintf("%[1]d|%[1]d|0.000003", records*each))
	e.want("toString(count())", "gpumeter.cost_history", fmt.Sprint(records*each))
}

// killEngines kills the children of this process.
func killEngines(t *testing.T) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			var pid int
			if _, err := fmt.Sscan(field, &pid); err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed++
			}
		}
	}
	t.Logf("killed %d engines", killed)
}

func TestSchemaThatDoesNotFitEndsTheSink(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	if err := e.conn.Exec(t.Context(), "DROP TABLE gpumeter.tags_log SYNC"); err != nil {
		t.Fatal(err)
	}
	p.publish(kgo.TryCommit, encode(p, schemas.Tag{Match: "user=u", Set: "team=x", From: origin}))
	cfg := sink.DefaultConfig()
	cfg.Broker, cfg.ClickHouse = p.config, e.DSN()
	err := sink.Run(t.Context(), cfg, sink.Env{Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}})
	if err == nil || !strings.Contains(err.Error(), "tags_log") {
		t.Errorf("a missing table: %v", err)
	}
}
