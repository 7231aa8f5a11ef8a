package storage

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// perRound is what each view shows of one round; findings and cost keep the
// newest revision.
func perRound() map[string]int {
	return map[string]int{
		"cost":         3 * (windows + 1), // with an early one
		"cost_history": 3 * (windows + 2), // a window is restated: its old row, its new row, and that the old one is gone
		"samples":      4, "processes": 2, "allocations": 1, "resources": 1, "prices": 1, "tags": 1,
		"findings": 1, "findings_history": 2,
		"dead_letters": 2, // one is the sink's own, of a record of cost that cannot be read
	}
}

// windows of each GPU in a round.
const windows = 6

// round publishes something in every topic that the sink stores; what it says is
// its own.
func (p *pipe) round(n int) {
	p.Helper()
	records := []*kgo.Record{p.samples(n)}
	for part := range int32(3) {
		records = append(records, p.cells(n, part)...)
	}
	id := fmt.Sprint(n)
	ts := origin + int64(n)*minute
	finding := schemas.Finding{
		Finding: "idle/" + id, Revision: 1, Kind: schemas.KindIdle, Status: schemas.StatusOpen, Severity: schemas.SeverityNotice,
		OpenedAt: ts, UpdatedAt: ts, Allocation: "a" + id, Node: "node-1", GPUs: []string{"g0"}, BurntCost: 5, CostPerHour: 7, Currency: "USD",
	}
	newer := finding
	newer.Revision, newer.BurntCost = 2, 9
	records = append(records,
		encode(p, finding), encode(p, newer),
		encode(p, schemas.Allocation{TS: ts, Event: schemas.EventStart, Allocation: "a" + id, User: "u", ReqGPUs: -1, ReqWalltime: -1},
			schemas.Allocation{TS: ts + 1, Event: schemas.EventEnd, Allocation: "a" + id, State: "completed", ReqGPUs: -1, ReqWalltime: -1}),
		encode(p, schemas.Resource{Node: "node-1", Resource: "r" + id, GPUs: []string{"g"}, From: ts, PricingCategory: "owned"}),
		encode(p, schemas.Price{Provider: "p" + id, PricingCategory: "owned", Currency: "USD", PerHour: 1, From: ts}),
		encode(p, schemas.Tag{Match: "user=u" + id, Set: "team=x", From: ts}),
		encode(p, schemas.Process{TS: ts, Node: "node-1", GPU: "g", PID: 7}, schemas.Process{TS: ts, Node: "node-1", GPU: "g", PID: 8}),
		encode(p, schemas.DeadLetter{Stream: "samples", Place: "f:" + id, Reason: schemas.ReasonBadJSON, Payload: []byte("x"), Count: 1}))
	p.publish(kgo.TryCommit, records...)
	p.publish(kgo.TryAbort, p.record(fact{gpu: "rolled back", state: active, finality: final, cost: 1}))
}

// cells are those of the GPU of one partition: final ones, one of them restated,
// one early, and a record that cannot be read for the whole round.
func (p *pipe) cells(n int, part int32) []*kgo.Record {
	p.Helper()
	gpu, first := fmt.Sprintf("g%d", part), int64(n*(windows+1))
	var facts []fact
	for w := range int64(windows) {
		facts = append(facts, fact{gpu: gpu, window: first + w, allocation: "a", state: active, finality: final, cost: 1 + w})
	}
	facts = append(facts, fact{gpu: gpu, window: first + windows, allocation: "a", state: active, cost: 100})
	records := []*kgo.Record{
		p.record(facts...),
		p.record(fact{gpu: gpu, window: first, allocation: "b", state: idle, finality: final, restated: 1, cost: 50}),
	}
	if part == 0 {
		damaged := p.record(fact{gpu: "x", state: active, finality: final})
		damaged.Value = append([]byte("damaged "), damaged.Value...)
		records = append(records, damaged)
	}
	for _, rec := range records {
		rec.Partition = part
	}
	return records
}

func (p *pipe) samples(n int) *kgo.Record {
	p.Helper()
	return p.samplesOf(n, 500_000)
}

func (p *pipe) samplesOf(n int, utilization uint32) *kgo.Record {
	p.Helper()
	s := &schemas.Samples{Node: "node-1", Series: []schemas.Series{{GPU: "g", Model: "H100", Interval: 1000, MemoryTotal: 80 << 30}}}
	for i := range int64(4) {
		s.Index = append(s.Index, 0)
		s.TS = append(s.TS, origin+int64(n)*minute+i*1000)
		s.Utilization = append(s.Utilization, utilization)
		s.SMActive = append(s.SMActive, schemas.Absent32)
		s.TensorActive = append(s.TensorActive, schemas.Absent32)
		s.DRAMActive = append(s.DRAMActive, schemas.Absent32)
		s.MemoryUsed = append(s.MemoryUsed, 5)
		s.Power = append(s.Power, 250_500)
		s.Energy = append(s.Energy, 7)
		s.Temperature = append(s.Temperature, 40)
	}
	var encoder wire.SampleEncoder
	rec, err := encoder.Encode(s)
	if err != nil {
		p.Fatal(err)
	}
	return rec
}

// shown is what every view shows, row by row.
func (e *engine) shown() map[string][]string {
	e.Helper()
	all := map[string][]string{}
	for _, v := range clickhouse.Views() {
		all[v.Name] = e.lines("SELECT * FROM gpumeter." + v.Name + " ORDER BY ALL FORMAT JSONCompactEachRow")
	}
	return all
}

// lines runs a query over HTTP and returns the lines of its answer.
func (e *engine) lines(query string) []string {
	e.Helper()
	response, err := http.Get(strings.Replace(e.HTTPURL(), "default@", "", 1) + "/?query=" + url.QueryEscape(query))
	if err != nil {
		e.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		e.Fatalf("%s: %v: %s", query, err, text)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// shows compares the views, before and after parts are merged, with rounds that
// were stored once, by a sink that nothing happened to, in a database made anew.
func (e *engine) shows(p *pipe, rounds int) {
	e.Helper()
	apart := e.shown()
	e.merge()
	merged := e.shown()
	want := e.once(p)
	for view, n := range perRound() {
		if len(want[view]) != n*rounds {
			e.Errorf("%s has %d rows when all is well, want %d", view, len(want[view]), n*rounds)
		}
	}
	e.same(apart, want)
	e.same(merged, want)
}

func (e *engine) same(got, want map[string][]string) {
	e.Helper()
	for view := range want {
		if !slices.Equal(got[view], want[view]) {
			e.Errorf("%s has %d rows, want %d:\n%s", view, len(got[view]), len(want[view]), difference(got[view], want[view]))
		}
	}
}

// keepParts lets rows that came twice stay apart, for views to collapse.
func (e *engine) keepParts() { e.do("SYSTEM STOP MERGES") }

func (e *engine) merge() {
	e.Helper()
	e.do("SYSTEM START MERGES")
	for _, table := range append(sinkTables(), clickhouse.TableHistory) {
		e.do("OPTIMIZE TABLE gpumeter." + table + " FINAL")
	}
}

func (e *engine) do(statement string) {
	e.Helper()
	if err := e.conn.Exec(e.Context(), statement); err != nil {
		e.Fatalf("%s: %v", statement, err)
	}
}

// once stores everything once more, from nothing, and returns what is shown then.
func (e *engine) once(p *pipe) map[string][]string {
	e.Helper()
	e.do("DROP DATABASE gpumeter SYNC")
	p.run(e.DSN(), "control")
	return e.shown()
}

func difference(got, want []string) string {
	var out []string
	for _, line := range got {
		if !slices.Contains(want, line) {
			out = append(out, "+ "+line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			out = append(out, "- "+line)
		}
	}
	if len(out) == 0 {
		return "the same rows, some of them several times"
	}
	return strings.Join(out[:min(len(out), 10)], "\n")
}

// stored counts the rows that were inserted, those that collapse among them.
func (e *engine) stored(table string) (n uint64) {
	e.Helper()
	if err := json.Unmarshal([]byte(e.lines("SELECT count() FROM gpumeter." + table + " FORMAT JSONCompactEachRow SETTINGS output_format_json_quote_64bit_integers = 0")[0]), &[]any{&n}); err != nil {
		e.Fatal(err)
	}
	return n
}
