package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	embedded "github.com/gpumeter/gpumeter/deploy/broker"
	"github.com/gpumeter/gpumeter/deploy/replay"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// TestBadInput puts every kind of bad line among good ones. Each becomes a dead
// letter that names file, line and reason, or is counted; the ledger is that of
// the good lines.
func TestBadInput(t *testing.T) {
	good := oneHolder()
	bad := maps.Clone(good)
	const gpu = `"node":"n1","gpu":"g0"`
	bad["samples.ndjson"] += `{"ts":1780275640000,` + gpu + `,"utilization":0.5,"interval_seconds":10,"fan":0.4}
{"ts":1780275650000,` + gpu + `,"utilization":"much"}
{"ts":1780275650000,` + gpu + `,"utilization":-0.5}
{"ts":"1970-01-01T00:00:00Z",` + gpu + `,"utilization":0.5}
{"ts":"2100-01-01T00:00:00Z",` + gpu + `,"utilization":0.5}
not JSON
{"ts":1780275650000,"gpu":"g0","utilization":0.5}
{"ts":1780275650000,` + gpu + `,"utiliza`
	good["samples.ndjson"] += `{"ts":1780275640000,` + gpu + `,"utilization":0.5,"interval_seconds":10}` + "\n"
	bad["allocations.ndjson"] += `{"ts":1780275600000,"event":"start","allocation":"b","gpus":[{` + gpu + `,"share":1.5}]}
{"ts":1780275600000,"event":"start","allocation":"b","gpus":[{` + gpu + `,"slice":"m1"}]}
{"ts":1780275600000,"event":"pause","allocation":"b"}
{"ts":1780275620000,"event":"end","allocation":"orphan"}
`
	bad["prices.csv"] += "aws,,x,on_demand,USD,-3.6,2026-05-01T00:00:00Z\naws,,x\n"

	dsn, conn := engine(t)
	replayed(t, dsn, t.TempDir(), write(t, good))
	want := ledger(t, conn)
	dsn, conn = engine(t)
	s := replayed(t, dsn, t.TempDir(), write(t, bad))
	same(t, ledger(t, conn), want)
	found := rows(t, conn, "SELECT concat(place, ' ', reason, if(count = 1, '', concat(' x', toString(count)))) FROM gpumeter.dead_letters ORDER BY ALL")
	for _, letter := range []string{
		"samples.ndjson:3 bad_number", "samples.ndjson:4 bad_number",
		"topic gpumeter.samples partition 6 offset 0 bad_time x2", // by the broker's clock, so by who reads the broker
		"samples.ndjson:7 bad_json", "samples.ndjson:8 bad_field", "samples.ndjson:9 truncated",
		"allocations.ndjson:3 bad_share", "allocations.ndjson:4 bad_share", "allocations.ndjson:5 unknown_event", "no_start",
		"prices.csv:3 bad_number", "prices.csv:4 bad_row",
	} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasSuffix(f, letter) }) {
			t.Errorf("no dead letter %q", letter)
		}
	}
	if t.Failed() || len(found) != 12 {
		t.Errorf("%d dead letters:\n%s", len(found), strings.Join(found, "\n"))
	}
	var total int64
	for _, n := range s.DeadLetters {
		total += n
	}
	if total != 13 || s.DeadLetters[schemas.ReasonBadTime] != 2 || s.DeadLetters[schemas.ReasonNoStart] != 1 {
		t.Errorf("the summary counts %v", s.DeadLetters)
	}
	if len(s.Ignored) != 1 || s.Ignored[0] != (replay.Ignored{Stream: "samples", Field: "fan", Times: 1}) {
		t.Errorf("ignored fields: %v", s.Ignored)
	}
}

// TestGarbageInTopics writes random bytes, nothing, and damaged and misplaced
// records to every topic before a replay over it: dead letters name topic and
// offset, and the ledger is that of the files.
func TestGarbageInTopics(t *testing.T) {
	const seed = 20260601
	t.Logf("seed %d", seed)
	dir := write(t, oneHolder())
	dsn, conn := engine(t)
	replayed(t, dsn, t.TempDir(), dir)
	want := ledger(t, conn)

	brokers, err := embedded.Start(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer brokers.Stop() //nolint:errcheck // in memory
	sent := spoil(t, brokers.Addresses(), rand.New(rand.NewPCG(seed, 0)))
	dsn, conn = engine(t)
	cfg := replay.DefaultConfig()
	cfg.Stack.Broker.Brokers, cfg.Stack.ClickHouse = brokers.Addresses(), dsn
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := replay.Run(ctx, cfg, dir, replay.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	same(t, ledger(t, conn), want)
	letters := rows(t, conn, "SELECT place FROM gpumeter.dead_letters WHERE reason = 'corrupt'")
	for _, r := range sent {
		// Ticks are judged by every processor, the others by whom they are for.
		// Notices are the notifier's own memory: it counts them and says so. What
		// cannot be read in quarantine passes nothing over.
		own := r.Topic == schemas.Prefix+schemas.StreamNotices || r.Topic == schemas.Prefix+schemas.StreamQuarantine
		if !own && !slices.ContainsFunc(letters, func(place string) bool {
			return strings.Contains(place, r.Topic) && strings.HasSuffix(place, fmt.Sprint(r.Offset))
		}) {
			t.Errorf("no dead letter for offset %d of %s partition %d (%d bytes)", r.Offset, r.Topic, r.Partition, len(r.Value))
		}
	}
	if s.DeadLetters[schemas.ReasonCorrupt] == 0 {
		t.Errorf("the summary counts %v", s.DeadLetters)
	}
	if t.Failed() {
		t.Logf("dead letters:\n%s", strings.Join(letters, "\n"))
	}
}

// spoil writes garbage to the first partition of every topic.
func spoil(t *testing.T, brokers []string, random *rand.Rand) []*kgo.Record {
	t.Helper()
	opts, err := broker.Config{Brokers: brokers}.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := broker.Ensure(t.Context(), client, broker.DefaultLayout()); err != nil {
		t.Fatal(err)
	}
	all := make([]*kgo.Record, 0, 3*len(schemas.Streams()))
	for _, stream := range schemas.Streams() {
		noise := make([]byte, 1+random.IntN(4096))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		foreign, err := wire.Encode("k", []schemas.Price{{Provider: "aws", PerHour: 1}})
		if err != nil {
			t.Fatal(err)
		}
		damaged := &kgo.Record{Headers: foreign.Headers, Value: slices.Clone(foreign.Value)}
		damaged.Value[len(damaged.Value)/2] ^= 0xff
		for _, rec := range []*kgo.Record{{Value: noise}, {Key: []byte("n1")}, damaged} {
			rec.Topic = stream.Topic()
			all = append(all, rec)
		}
	}
	if err := client.ProduceSync(t.Context(), all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return all
}
