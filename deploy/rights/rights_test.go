package rights

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/run"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink"
	"github.com/gpumeter/gpumeter/sink/notify"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const (
	mechanism = broker.ScramSHA256
	password  = "s3cret"
	patience  = 5 * time.Minute // a machine that others use, too
)

// A world is a broker that lets the component in that is tested, with the rights
// that it is given, and an administrator who may do all.
type world struct {
	t     *testing.T
	fake  *kfake.Cluster
	file  string // of the password
	admin *kgo.Client
}

func layout() broker.Layout { return broker.Layout{Partitions: 2, Replication: 1} }

func newWorld(t *testing.T, c Component, rights []broker.Right) *world {
	t.Helper()
	w := &world{t: t, file: filepath.Join(t.TempDir(), "password")}
	if err := os.WriteFile(w.file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	acls := make([]kfake.ACL, 0, len(rights))
	for _, r := range rights {
		pattern := kmsg.ACLResourcePatternTypeLiteral
		if r.Prefixed {
			pattern = kmsg.ACLResourcePatternTypePrefixed
		}
		acls = append(acls, kfake.ACL{Resource: r.Resource, Name: r.Name, Pattern: pattern, Operation: r.Operation, Allow: true})
	}
	var err error
	w.fake, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser(mechanism, "admin", password), kfake.User(mechanism, userOf(c), password, acls...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.fake.Close)
	w.admin = w.client("admin", broker.ProducerOptions()...)
	return w
}

func userOf(c Component) string { return strings.TrimPrefix(c.Principal(), "User:") }

func (w *world) config(user string) broker.Config {
	return broker.Config{Brokers: w.fake.ListenAddrs(), SASL: broker.SASL{Mechanism: mechanism, User: user, PasswordFile: w.file}}
}

func (w *world) client(user string, more ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	opts, err := w.config(user).Options("test")
	if err != nil {
		w.t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// topics makes those of all streams.
func (w *world) topics() {
	w.t.Helper()
	cl := w.client("admin") // it will have seen the topics missing, and believe so for a while
	if _, err := broker.Ensure(w.t.Context(), cl, layout()); err != nil {
		w.t.Fatal(err)
	}
}

// holds counts the records of a stream's topic, markers included.
func (w *world) holds(ctx context.Context, stream string) (n int64, err error) {
	ends, err := kadm.NewClient(w.admin).ListEndOffsets(ctx, schemas.Prefix+stream)
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n, errors.Join(err, ends.Error())
}

// A program runs a component as user until ctx ends or it has done its work.
type program func(ctx context.Context, w *world, user string) error

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func collect(ctx context.Context, w *world, user string) error {
	cfg := collector.DefaultConfig()
	cfg.Broker, cfg.Topics = w.config(user), layout()
	cfg.Source.Files.Dir = input(w.t)
	_, err := collector.Run(ctx, cfg, collector.Env{Log: quiet(), Meter: noop.Meter{}, Now: time.Now})
	return err
}

func process(ctx context.Context, w *world, user string) error {
	cfg := processor.DefaultConfig()
	cfg.Broker, cfg.Topics, cfg.Instance = w.config(user), layout(), "one"
	return processor.Run(ctx, cfg, processor.Env{Log: quiet(), Meter: noop.Meter{}})
}

func store(dsn string) program {
	return func(ctx context.Context, w *world, user string) error {
		cfg := sink.DefaultConfig()
		cfg.Broker, cfg.Topics, cfg.ClickHouse = w.config(user), layout(), dsn
		return sink.Run(ctx, cfg, sink.Env{Log: quiet(), Meter: noop.Meter{}})
	}
}

func tell(to notify.Notifier) program {
	return func(ctx context.Context, w *world, user string) error {
		return notify.Run(ctx, notify.DefaultConfig(), notify.Env{
			Broker: w.config(user), Topics: layout(), Notifier: to, Log: quiet(), Meter: noop.Meter{},
		})
	}
}

func makeTopics(ctx context.Context, w *world, user string) error {
	_, err := broker.Ensure(ctx, w.client(user), layout())
	return w.config(user).Explain(err)
}

// idleSamples are enough for a finding: six minutes of a GPU that does nothing.
const idleSamples = 36

// input is a small directory of events with something for each stream.
func input(t *testing.T) string {
	t.Helper()
	dir, from := t.TempDir(), time.Now().Add(-time.Hour).UnixMilli()
	at := func(text string) string { return strings.ReplaceAll(text, "FROM", strconv.FormatInt(from, 10)) }
	var samples strings.Builder
	for i := range int64(idleSamples) {
		fmt.Fprintf(&samples, `{"ts":%d,"node":"n1","gpu":"g0","utilization":0.0}`+"\n", from+10_000*i)
	}
	for name, text := range map[string]string{
		"resources.ndjson":   `{"resource":"i-1","node":"n1","gpus":["g0"],"from":FROM,"cluster":"c","provider":"p","region":"r","sku":"s","gpu_model":"m"}`,
		"prices.csv":         "provider,region,sku,pricing_category,currency,price_per_hour,effective_from,known_at\np,r,s,on_demand,USD,3.6,FROM,FROM",
		"tags.csv":           "match,set,effective_from,priority\nallocation=*,team=a,FROM,1",
		"allocations.ndjson": `{"allocation":"a1","event":"start","ts":FROM,"gpus":[{"node":"n1","gpu":"g0"}],"user":"u"}`,
		"samples.ndjson":     samples.String() + "nonsense",
		"processes.ndjson":   `{"ts":FROM,"node":"n1","gpu":"g0","pid":7}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(at(text)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func component(t *testing.T, name string) Component {
	t.Helper()
	for _, c := range Components() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no component %s", name)
	return Component{}
}

// until runs p as c's user until condition holds.
func (w *world) until(c Component, p program, condition func(context.Context) (bool, error)) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	stage := run.Launch(ctx, c.Name, fail, func(ctx context.Context) error { return p(ctx, w, userOf(c)) })
	err := run.Await(ctx, condition)
	if err = errors.Join(err, stage.Stop()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) fills(streams ...string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		for _, s := range streams {
			if n, err := w.holds(ctx, s); err != nil || n == 0 {
				return false, err
			}
		}
		return true, nil
	}
}

// produce writes rows as the administrator.
func produce[T wire.Row](w *world, key string, rows ...T) {
	w.t.Helper()
	rec, err := wire.Encode(key, rows)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.admin.ProduceSync(w.t.Context(), rec).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

func TestTopicsAreMadeWithTheRightsOfTheirMaker(t *testing.T) {
	c := component(t, Topics)
	if err := makeTopics(t.Context(), newWorld(t, c, c.Rights), userOf(c)); err != nil {
		t.Error(err)
	}
}

func TestCollectorWorksWithItsRights(t *testing.T) {
	c := component(t, Collector)
	w := newWorld(t, c, c.Rights)
	w.topics()
	if err := collect(t.Context(), w, userOf(c)); err != nil {
		t.Fatal(err)
	}
	for _, stream := range collector.DefaultConfig().Use().Writes {
		if n, err := w.holds(t.Context(), stream); err != nil || n == 0 {
			t.Errorf("%s: %d records, %v", stream, n, err)
		}
	}
}

func TestProcessorWorksWithItsRights(t *testing.T) {
	c := component(t, Processor)
	w := newWorld(t, c, c.Rights)
	w.topics()
	if err := collect(t.Context(), w, "admin"); err != nil {
		t.Fatal(err)
	}
	letter := kgo.Record{Topic: schemas.Prefix + schemas.StreamActivity, Value: []byte("no activity")}
	before, err := w.holds(t.Context(), schemas.StreamDeadLetters)
	if err = errors.Join(err, w.admin.ProduceSync(t.Context(), &letter).FirstErr()); err != nil {
		t.Fatal(err)
	}
	w.until(c, process, func(ctx context.Context) (bool, error) {
		letters, err := w.holds(ctx, schemas.StreamDeadLetters)
		if err != nil || letters == before {
			return false, err
		}
		return w.fills(schemas.StreamTicks, schemas.StreamCost, schemas.StreamActivity, schemas.StreamFindings)(ctx)
	})
}

func TestSinkWorksWithItsRights(t *testing.T) {
	engine, err := chdb.Start(t.Context(), chdb.Options{Dir: t.TempDir()})
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Stop(context.Background()) })
	c := component(t, Sink)
	w := newWorld(t, c, c.Rights)
	w.topics()
	if err := collect(t.Context(), w, "admin"); err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(engine.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	w.until(c, store(engine.DSN()), func(ctx context.Context) (bool, error) {
		var n uint64
		err := conn.QueryRow(ctx, "SELECT count() FROM gpumeter.samples").Scan(&n)
		return err == nil && n == idleSamples, nil // not there yet, or not yet filled
	})
}

// A listener takes messages and says so.
type listener struct{ told chan struct{} }

func (l listener) Post(context.Context, notify.Message) (notify.Ref, error) {
	select {
	case l.told <- struct{}{}:
	default:
	}
	return notify.Ref{Channel: "c", Message: "m"}, nil
}
func (listener) Edit(context.Context, notify.Ref, notify.Message) error { return nil }
func (listener) Find(context.Context, notify.Message, time.Time) (notify.Ref, bool, error) {
	return notify.Ref{}, false, notify.ErrCannotFind
}

func TestNotifierWorksWithItsRights(t *testing.T) {
	c := component(t, Notifier)
	w := newWorld(t, c, c.Rights)
	w.topics()
	to := listener{make(chan struct{}, 1)}
	now := time.Now().UnixMilli()
	produce(w, "a1", schemas.Finding{Finding: "f1", Allocation: "a1", Kind: "idle", Severity: schemas.SeverityAlert, Revision: 1, OpenedAt: now, ThresholdAt: now})
	told := false
	w.until(c, tell(to), func(ctx context.Context) (bool, error) {
		select {
		case <-to.told:
			told = true
		default:
		}
		n, err := w.holds(ctx, schemas.StreamNotices)
		return told && n > 1, err // intent and result
	})
}

// Each right is needed: without it the component ends, and says what is missing
// and who lacks it.
func TestEachRightIsNeededAndNamed(t *testing.T) {
	programs := map[string]program{
		Topics: makeTopics, Collector: collect, Processor: process,
		Sink: store("clickhouse://127.0.0.1:1"), Notifier: tell(listener{}),
	}
	for _, c := range Components() {
		for i, r := range c.Rights {
			t.Run(fmt.Sprintf("%s without %v", c.Name, r), func(t *testing.T) {
				rest := append(append([]broker.Right{}, c.Rights[:i]...), c.Rights[i+1:]...)
				w := newWorld(t, c, rest)
				if c.Name != Topics || r.Operation != kmsg.ACLOperationCreate {
					w.topics()
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				err := programs[c.Name](ctx, w, userOf(c))
				if err == nil || ctx.Err() != nil {
					t.Fatalf("it goes on: %v", err)
				}
				operation, _, _ := strings.Cut(r.String(), " ")
				for _, part := range []string{operation + " on ", r.Name, c.Principal()} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%v does not say %q", err, part)
					}
				}
			})
		}
	}
}
