package storage

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink"
)

// flood publishes records in many partitions, as fast as the broker takes them.
func (p *pipe) flood(records func(yield func(*kgo.Record) bool)) {
	p.Helper()
	opts, err := p.config.Options("flood")
	if err != nil {
		p.Fatal(err)
	}
	client, err := kgo.NewClient(append(append(opts, broker.ProducerOptions()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		p.Fatal(err)
	}
	defer client.Close()
	failed := make(chan error, 1)
	for rec := range records {
		client.Produce(p.Context(), rec, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := client.Flush(p.Context()); err != nil {
		p.Fatal(err)
	}
	select {
	case err := <-failed:
		p.Fatal(err)
	default:
	}
}

// resident is the memory of a process that is in RAM now, and was at most [bytes].
func resident(t *testing.T, pid int) (now, peak int64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			now = kb << 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			peak = kb << 10
		}
	}
	return now, peak
}

// backlog is how many records lie before the sink: readings of processes of one
// row each, which are the most memory for their bytes. The environment may say
// more.
func backlog(t *testing.T) int {
	text, ok := os.LookupEnv("GPUMETER_TEST_BACKLOG")
	if !ok {
		return 200_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("GPUMETER_TEST_BACKLOG: %v", err)
	}
	return n
}

// most is what a sink may have in RAM, whatever lies before it.
const most = 400 << 20

// A lag of millions of records does not grow the memory of a sink whose server
// is away, nor does catching up.
func TestLagDoesNotGrowMemory(t *testing.T) {
	records := backlog(t)
	e, p := newEngine(t), newPipe(t)
	x := newProxy(t, strings.TrimPrefix(e.DSN(), "clickhouse://default@"))
	const distinct = 1000
	p.flood(func(yield func(*kgo.Record) bool) {
		values := make([]*kgo.Record, distinct)
		for n := range values {
			values[n] = encode(p, schemas.Process{TS: origin + int64(n), Node: "node-1", GPU: "g", PID: int64(n)})
		}
		for n := range records {
			rec := *values[n%distinct]
			rec.Partition = int32(n % 8)
			if !yield(&rec) {
				return
			}
		}
	})
	reached := x.lurk(clickhouse.LogTable(schemas.StreamProcesses), before)
	cfg := p.sink("clickhouse://default@"+x.address(), "g", 100_000, 16<<20)
	cfg.Flush.Every = 5 * time.Second // batches are full
	c := p.spawn(cfg)
	reach(t, "the first insert", reached)
	x.setAway(true)
	var waiting int64
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(100 * time.Millisecond) { // it takes in what it can
		now, _ := resident(t, c.command.Process.Pid)
		waiting = max(waiting, now)
	}
	lag, err := sink.Lag(t.Context(), p.admin, "g")
	if err != nil || lag < int64(records) {
		t.Errorf("lag %d, %v before anything was stored", lag, err)
	}
	x.setAway(false)
	began := time.Now()
	p.drain("g")
	_, peak := resident(t, c.command.Process.Pid)
	t.Logf("%d MiB with %d records before it, %d MiB at most; caught up in %v", waiting>>20, records, peak>>20, time.Since(began).Round(time.Millisecond))
	if peak > most {
		t.Errorf("%d MiB at most, want %d", peak>>20, most>>20)
	}
	c.stop()
	e.want("toString(count())", "gpumeter.processes", fmt.Sprint(distinct))
}

// liveRate is what a fleet says that the sink is to keep up with, samples a second.
const liveRate = 10_000

// After an outage the sink catches up while the fleet goes on: at five times the
// rate at which samples come, at least.
func TestCatchesUpAfterAnOutage(t *testing.T) {
	seconds := 60
	if testing.Short() {
		seconds = 10
	}
	e, p := newEngine(t), newPipe(t)
	const gpus = 8 // of a node
	nodes := make([]string, liveRate/gpus)
	for n := range nodes {
		nodes[n] = fmt.Sprintf("node-%d", n)
	}
	// A node's sample of each second, all of its series in one record, as a
	// collector publishes them.
	second := func(s int) func(yield func(*kgo.Record) bool) {
		var encoder wire.SampleEncoder
		return func(yield func(*kgo.Record) bool) {
			for n, node := range nodes {
				rec, err := encoder.Encode(reading(node, gpus, origin+int64(s)*1000))
				if err != nil {
					t.Error(err)
					return
				}
				rec.Partition = int32(n % 8)
				if !yield(rec) {
					return
				}
			}
		}
	}
	for s := range seconds {
		p.flood(second(s))
	}
	shown := func() int64 {
		return int64(e.stored("samples_log"))
	}
	began := time.Now()
	c := p.spawn(p.sink(e.DSN(), "g", 100_000, 16<<20))
	behind, live := int64(seconds*liveRate), seconds
	for live < 1000 && shown() < behind { // the fleet goes on at its rate
		if due := int(time.Since(began).Seconds()) + seconds; live < due {
			p.flood(second(live))
			live++
			behind += liveRate
		}
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(began)
	rate := float64(behind) / took.Seconds()
	t.Logf("%d samples in %v beside a fleet of %d a second: %.0f a second, %.1f times as fast", behind, took.Round(time.Millisecond), liveRate, rate, rate/liveRate)
	p.drain("g")
	c.stop()
	// Others may load the machine: what is held to is the time that the sink
	// itself computes.
	spent := (c.command.ProcessState.UserTime() + c.command.ProcessState.SystemTime()).Seconds()
	t.Logf("%.0f samples for each second that the sink computed", float64(live*liveRate)/spent)
	if perSecond := float64(live*liveRate) / spent; perSecond < 5*liveRate {
		t.Errorf("%.0f samples for each second that the sink computed, want %d", perSecond, 5*liveRate)
	}
	e.want("toString(count())", "gpumeter.samples", fmt.Sprint(live*liveRate))
}

// reading is one sample of each of n GPUs.
func reading(node string, n int, ts int64) *schemas.Samples {
	s := &schemas.Samples{Node: node}
	for i := range n {
		s.Series = append(s.Series, schemas.Series{GPU: fmt.Sprintf("GPU-%08d", i), Model: "H100", Interval: 1000, MemoryTotal: 80 << 30})
		s.Index = append(s.Index, uint16(i))
		s.TS = append(s.TS, ts)
		s.Utilization = append(s.Utilization, uint32(ts+int64(i))%1_000_001)
		s.SMActive = append(s.SMActive, uint32(ts*7+int64(i))%1_000_001)
		s.TensorActive = append(s.TensorActive, schemas.Absent32)
		s.DRAMActive = append(s.DRAMActive, schemas.Absent32)
		s.MemoryUsed = append(s.MemoryUsed, uint64(i)<<20)
		s.Power = append(s.Power, uint32(300_000+i))
		s.Energy = append(s.Energy, uint64(ts)/1000*uint64(i))
		s.Temperature = append(s.Temperature, 60)
	}
	return s
}
