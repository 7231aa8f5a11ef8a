package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/deploy/kafka/kafkatest"
	"github.com/gpumeter/gpumeter/deploy/rights"
	"github.com/gpumeter/gpumeter/deploy/run"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink"
)

// A guarded cluster lets in each component as a user of its own, by TLS and a password,
// and lets it do what gpumeter topics --acls prints. Its administrator may do all.
type guarded struct {
	t       *testing.T
	cluster *kafka.Cluster
	adm     *kadm.Client
	file    string // of the password
	printed []string
	dsn     string
	conn    driver.Conn
}

// Every component works with the rights that are printed, and not with one less. Without
// any, nobody but super users may do anything.
func TestRights(t *testing.T) {
	kafkatest.Need(t)
	engine, err := chdb.Start(t.Context(), chdb.Options{Dir: t.TempDir()})
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Stop(context.Background()) })
	g := guard(t)
	g.dsn = engine.DSN()
	if g.conn, err = clickhouse.Open(g.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.conn.Close() })
	t.Run("without a right nothing is let through", func(t *testing.T) { nothingWithoutARight(t, g.cluster) })
	g.makesTopics()
	t.Run("events become rows", func(t *testing.T) { g.on(t).eventsBecomeRows() })
	t.Run("topics that are made again are told of", func(t *testing.T) { g.on(t).recreatedIsToldOf() })
	t.Run("samples that are made again end the processor", func(t *testing.T) { g.on(t).recreatedSamplesEnd() })
	t.Run("a right that is missing is named", func(t *testing.T) { g.on(t).missingRightsAreNamed() })
}

func guard(t *testing.T) *guarded {
	t.Helper()
	users := []kafka.User{{Name: "alice", Password: "a-secret"}, {Name: "root", Password: "r-secret"}}
	for _, c := range rights.Components() {
		users = append(users, kafka.User{Name: userOf(c.Name), Password: password})
	}
	g := &guarded{t: t, file: written(t, password)}
	g.cluster = kafkatest.Start(t, kafka.Options{Security: &kafka.Security{Users: users, Authorize: true, Super: []string{"root"}}})
	g.adm = kadm.NewClient(client(t, broker.Config{Brokers: g.cluster.Direct()}))
	var text bytes.Buffer
	if err := rights.Print(&text, rights.Components()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if strings.HasPrefix(line, "kafka-acls.sh ") {
			g.printed = append(g.printed, strings.TrimSpace(line))
		}
	}
	if len(g.printed) < 20 {
		t.Fatalf("printed is %q", g.printed)
	}
	g.give(g.printed...)
	return g
}

func userOf(component string) string { return "gpumeter-" + component }

// on is g for a part of the test.
func (g *guarded) on(t *testing.T) *guarded {
	part := *g
	part.t = t
	return &part
}

// rule is what a printed command gives.
func (g *guarded) rule(command string) *kadm.ACLBuilder {
	g.t.Helper()
	flags := map[string]string{}
	words := strings.Fields(strings.ReplaceAll(command, "'", ""))
	for i, word := range words[:len(words)-1] {
		flags[word] = words[i+1]
	}
	operation, err := kmsg.ParseACLOperation(flags["--operation"])
	if err != nil {
		g.t.Fatalf("%s: %v", command, err)
	}
	b := kadm.NewACLs().Allow(flags["--allow-principal"]).AllowHosts("*").Operations(operation).ResourcePatternType(kadm.ACLPatternLiteral)
	if flags["--resource-pattern-type"] == "prefixed" {
		b = b.ResourcePatternType(kadm.ACLPatternPrefixed)
	}
	switch {
	case flags["--topic"] != "":
		return b.Topics(flags["--topic"])
	case flags["--group"] != "":
		return b.Groups(flags["--group"])
	case flags["--transactional-id"] != "":
		return b.TransactionalIDs(flags["--transactional-id"])
	}
	g.t.Fatalf("%s names no resource", command)
	return nil
}

func (g *guarded) give(commands ...string) {
	g.t.Helper()
	for _, command := range commands {
		made, err := g.adm.CreateACLs(within(g.t), g.rule(command))
		if err != nil || len(made) != 1 || made[0].Err != nil {
			g.t.Fatalf("%s: %v, %+v", command, err, made)
		}
	}
	for _, command := range commands {
		g.holds(command, 1)
	}
}

func (g *guarded) take(command string) {
	g.t.Helper()
	gone, err := g.adm.DeleteACLs(within(g.t), g.rule(command))
	if err != nil || len(gone) != 1 || gone[0].Err != nil || len(gone[0].Deleted) != 1 {
		g.t.Fatalf("%s: %v, %+v", command, err, gone)
	}
	g.holds(command, 0)
}

// holds waits until the broker's authorizer has heard of a change.
func (g *guarded) holds(command string, rules int) {
	g.t.Helper()
	await(g.t, command, func() bool {
		known, err := g.adm.DescribeACLs(within(g.t), g.rule(command))
		return err == nil && len(known) == 1 && len(known[0].Described) == rules
	})
}

func (g *guarded) config(component string) broker.Config {
	return broker.Config{
		Brokers: g.cluster.Addresses(kafka.SASLSSL), TLS: broker.TLS{CA: g.cluster.Authority().CA()},
		SASL: broker.SASL{Mechanism: broker.ScramSHA512, User: userOf(component), PasswordFile: g.file},
	}
}

func (g *guarded) layout() broker.Layout { return broker.Layout{Partitions: 2, Replication: -1} }

// runs is a component as its user, until ctx ends or it has done its work.
func (g *guarded) runs(ctx context.Context, component string) error {
	quiet := slog.New(slog.DiscardHandler)
	switch at := g.config(component); component {
	case rights.Topics:
		_, err := broker.Ensure(ctx, client(g.t, at), g.layout())
		return at.Explain(err)
	case rights.Collector:
		c := collector.DefaultConfig()
		c.Broker, c.Topics, c.Source.Files.Dir = at, g.layout(), idleHour(g.t)
		_, err := collector.Run(ctx, c, collector.Env{Log: quiet, Meter: noop.Meter{}, Now: time.Now})
		return err
	case rights.Processor:
		c := processor.DefaultConfig()
		c.Broker, c.Topics, c.Instance = at, g.layout(), "one"
		return processor.Run(ctx, c, processor.Env{Log: quiet, Meter: noop.Meter{}})
	case rights.Sink:
		c := sink.DefaultConfig()
		c.Broker, c.Topics, c.ClickHouse = at, g.layout(), g.dsn
		return sink.Run(ctx, c, sink.Env{Log: quiet, Meter: noop.Meter{}})
	}
	return fmt.Errorf("no component %s", component)
}

// idleHour is a small directory of events with something for each stream.
func idleHour(t *testing.T) string {
	t.Helper()
	dir, from := t.TempDir(), time.Now().Add(-time.Hour).UnixMilli()
	var samples strings.Builder
	for i := range int64(36) { // six minutes are enough for a finding
		fmt.Fprintf(&samples, `{"ts":%d,"node":"n1","gpu":"g0","utilization":0.0}`+"\n", from+10_000*i)
	}
	for name, text := range map[string]string{
		"resources.ndjson":   `{"resource":"i-1","node":"n1","gpus":["g0"],"from":FROM,"cluster":"c","provider":"p","region":"r","sku":"s","gpu_model":"m"}`,
		"prices.csv":         "provider,region,sku,pricing_category,currency,price_per_hour,effective_from,known_at\np,r,s,on_demand,USD,3.6,FROM,FROM",
		"tags.csv":           "match,set,effective_from,priority\nallocation=*,team=a,FROM,1",
		"allocations.ndjson": `{"allocation":"a1","event":"start","ts":FROM,"gpus":[{"node":"n1","gpu":"g0"}],"user":"u"}`,
		"samples.ndjson":     samples.String(),
		"processes.ndjson":   `{"ts":FROM,"node":"n1","gpu":"g0","pid":7}`,
	} {
		text = strings.ReplaceAll(text, "FROM", strconv.FormatInt(from, 10))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (g *guarded) makesTopics() {
	g.t.Helper()
	if err := g.runs(within(g.t), rights.Topics); err != nil {
		g.t.Fatal(err)
	}
}

// flow runs a collector to its end beside a processor and a sink, until ClickHouse
// answers a query with at least what is wanted.
func (g *guarded) flow(query string, least uint64) {
	g.t.Helper()
	ctx, fail := context.WithCancelCause(within(g.t))
	defer fail(nil)
	var stages []*run.Stage
	for _, name := range []string{rights.Processor, rights.Sink} {
		stages = append(stages, run.Launch(ctx, name, fail, func(ctx context.Context) error { return g.runs(ctx, name) }))
	}
	err := g.runs(ctx, rights.Collector)
	if err == nil {
		err = run.Await(ctx, func(ctx context.Context) (bool, error) {
			var n uint64
			err := g.conn.QueryRow(ctx, query).Scan(&n)
			return err == nil && n >= least, nil // the tables may not be there yet
		})
	}
	for _, stage := range slices.Backward(stages) {
		err = errors.Join(err, stage.Stop())
	}
	if err != nil {
		g.t.Fatalf("%s: %v", query, err)
	}
}

func (g *guarded) eventsBecomeRows() {
	g.flow("SELECT least(count(), (SELECT count() FROM gpumeter.findings), (SELECT count() FROM gpumeter.samples)) FROM gpumeter.cost", 1)
}

// recreate deletes topics and has them made again, and wants the brokers to have
// forgotten what groups had committed of them.
func (g *guarded) recreate(streams ...string) {
	g.t.Helper()
	for _, stream := range streams {
		if _, err := g.adm.DeleteTopic(within(g.t), schemas.Prefix+stream); err != nil {
			g.t.Fatal(err)
		}
	}
	for _, group := range []string{sink.DefaultConfig().Group, processor.DefaultConfig().Group, "gpumeter-detect"} {
		await(g.t, "the brokers to forget "+group, func() bool {
			left, err := g.adm.FetchOffsets(within(g.t), group)
			return err == nil && !slices.ContainsFunc(streams, func(stream string) bool { return len(left[schemas.Prefix+stream]) > 0 })
		})
	}
	g.makesTopics()
}

func (g *guarded) recreatedIsToldOf() {
	g.recreate(schemas.StreamCost, schemas.StreamActivity, schemas.StreamProcesses)
	g.flow("SELECT uniqExactIf(stream, stream IN ('cost', 'activity', 'processes')) FROM gpumeter.dead_letters WHERE reason = 'gap' AND position(detail, 'recreated') > 0", 3)
}

func (g *guarded) recreatedSamplesEnd() {
	g.recreate(schemas.StreamSamples, schemas.StreamProcesses)
	err := g.runs(within(g.t), rights.Processor)
	if err == nil || !strings.Contains(err.Error(), "gpumeter.samples partition ") || !strings.Contains(err.Error(), "recreated") {
		g.t.Errorf("the processor ended with %v", err)
	}
	cl := client(g.t, broker.Config{Brokers: g.cluster.Direct()}, append(broker.ConsumerOptions(),
		kgo.ConsumeTopics(schemas.Prefix+schemas.StreamDeadLetters), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)
	ctx := within(g.t)
	for told := false; !told; {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			g.t.Fatal("there is no letter of samples")
		}
		for _, rec := range fetches.Records() {
			letters, err := wire.Decode[schemas.DeadLetter](nil, rec)
			if err != nil {
				g.t.Fatal(err)
			}
			told = told || slices.ContainsFunc(letters, func(l schemas.DeadLetter) bool {
				return l.Stream == schemas.StreamSamples && l.Reason == schemas.ReasonGap && strings.Contains(l.Detail, "the processors stopped")
			})
		}
	}
}

// missingRightsAreNamed: one right of each class.
func (g *guarded) missingRightsAreNamed() {
	for _, c := range []struct{ component, right, says string }{
		{rights.Collector, "--operation Write --topic gpumeter.samples", "Write on topic gpumeter.samples"},
		{rights.Collector, "--operation DescribeConfigs --topic gpumeter.prices", "DescribeConfigs on topic gpumeter.prices"},
		{rights.Processor, "--operation Read --topic gpumeter.activity", "Read on topic gpumeter.activity"},
		{rights.Processor, "--operation Write --transactional-id gpumeter-processor- --resource-pattern-type prefixed", "Write on transactional id gpumeter-processor-one"},
		{rights.Sink, "--operation Read --topic gpumeter.cost", "Read on topic gpumeter.cost"},
		{rights.Sink, "--operation Read --group gpumeter-sink", "Read on group gpumeter-sink"},
		{rights.Topics, "--operation Create --topic gpumeter. --resource-pattern-type prefixed", "Create on topic gpumeter."},
	} {
		principal := "User:" + userOf(c.component)
		i := slices.IndexFunc(g.printed, func(command string) bool {
			return strings.Contains(command, "'"+principal+"'") && strings.HasSuffix(command, c.right)
		})
		if i < 0 {
			g.t.Errorf("%s: %s is not printed", c.component, c.right)
			continue
		}
		if c.component == rights.Topics {
			if _, err := g.adm.DeleteTopic(within(g.t), schemas.Prefix+schemas.StreamNotices); err != nil {
				g.t.Fatal(err)
			}
		}
		g.take(g.printed[i])
		err := g.runs(within(g.t), c.component)
		for _, part := range []string{c.says, principal, "gpumeter topics --acls"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				g.t.Errorf("%s without %s: %v does not say %q", c.component, c.says, err, part)
			}
		}
		g.give(g.printed[i])
	}
}

// nothingWithoutARight: alice may do what she is allowed to, root may do all.
func nothingWithoutARight(t *testing.T, c *kafka.Cluster) {
	as := func(name, password string) *kgo.Client {
		t.Helper()
		return client(t, broker.Config{
			Brokers: c.Addresses(kafka.SASLSSL), TLS: broker.TLS{CA: c.Authority().CA()},
			SASL: broker.SASL{Mechanism: broker.ScramSHA512, User: name, PasswordFile: written(t, password)},
		})
	}
	root, alice := as("root", "r-secret"), as("alice", "a-secret")
	makeTopic(t, root, 1)
	write(t, root, "mine")
	rec := &kgo.Record{Topic: "numbers", Value: []byte("yours")}
	if err := alice.ProduceSync(within(t), rec).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("alice without a rule: %v", err)
	}
	acl := kadm.NewACLs().Topics("numbers").Allow("User:alice").AllowHosts().Operations(kadm.OpWrite, kadm.OpDescribe).ResourcePatternType(kadm.ACLPatternLiteral)
	if _, err := kadm.NewClient(client(t, broker.Config{Brokers: c.Direct()})).CreateACLs(within(t), acl); err != nil {
		t.Fatal(err)
	}
	write(t, as("alice", "a-secret"), "yours")
}
