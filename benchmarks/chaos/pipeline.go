package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/gpumeter/gpumeter/benchmarks/chaos/proxy"
	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// partitions of the topics that are spread by node: fewer than nodes, more than
// processors.
const partitions = 4

// A pipeline is what is put to the test, and what it stands on:
//
//	collectors, an agent ─► proxies ─► ┌───────┐ ◄─ proxies ◄─ processors one, two
//	                                   │ Kafka │
//	                                   └───────┘ ─► proxies ─► sink1, sink2 ─► proxies ─► ClickHouse
type pipeline struct {
	settings
	dir     string // of data and logs
	bin     string // of the binaries
	cluster *kafka.Cluster
	engine  *chdb.Server
	links   map[string]*link
	stages  map[string]*stage // processors and sinks
	agent   *agent            // nil where nobody has a spool

	client *kgo.Client // past the proxies
	admin  *kadm.Client
	conn   driver.Conn // past the proxies

	mu         sync.Mutex
	collectors []*stage // that run
}

// A link is a proxy that suffers one fault at a time.
type link struct {
	*proxy.Proxy
	mu sync.Mutex
}

// open starts Kafka and ClickHouse, with topics and tables. Close it in any case.
func open(ctx context.Context, dir, bin string, s settings) (*pipeline, error) {
	p := &pipeline{settings: s, dir: dir, bin: bin, links: map[string]*link{}, stages: map[string]*stage{}}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the run: %w", err)
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return p.openKafka(ctx) })
	both.Go(func() error { return p.openClickHouse(ctx) })
	if err := both.Wait(); err != nil {
		return p, err
	}
	for _, name := range []string{one, two} {
		p.stages[name] = p.stage(name, "gpumeter-processor", p.processing(name)...)
	}
	for _, name := range p.storers() {
		dsn := strings.Replace(p.engine.DSN(), p.engine.Address().Native, p.links[name+arrow+clickHouse].Address(), 1)
		p.stages[name] = p.stage(name, "gpumeter-sink", append(p.noting(name), "brokers="+p.brokers(name), "clickhouse="+dsn, "flush.every=250ms")...)
	}
	return p, nil
}

// processing are the settings of a processor.
func (p *pipeline) processing(name string) []string {
	list := append(p.noting(name), "brokers="+p.brokers(name), "instance="+name, "tick.every=0s", "transaction.timeout=10s")
	if p.hot > 0 {
		list = append(list, "state.dir="+filepath.Join(p.dir, name+"-state"), fmt.Sprintf("state.hot=%v", p.hot))
	}
	return list
}

// noting are the settings of a stage that notes what it reads, where it should.
func (p *pipeline) noting(name string) []string {
	if !p.quarantine {
		return nil
	}
	return []string{"quarantine=" + filepath.Join(p.dir, name+"-notes")}
}

// listener is Kafka's name of the listener that a stage comes in by: each has one
// of its own, which tells it of its proxy.
func listener(stage string) kafka.Listener { return kafka.Listener(strings.ToUpper(stage)) }

func (p *pipeline) openKafka(ctx context.Context) (err error) {
	options := kafka.Options{Dir: filepath.Join(p.dir, kafkaNode)}
	links := map[kafka.Listener]*link{}
	var failed error
	for _, link := range p.settings.links() {
		if stage, to, _ := strings.Cut(link, arrow); to == kafkaNode {
			options.More = append(options.More, listener(stage))
		}
	}
	options.Advertise = func(_ int, l kafka.Listener, listen string) string {
		relay, err := proxy.Listen(listen)
		if err != nil {
			failed = errors.Join(failed, err)
			return listen
		}
		links[l] = &link{Proxy: relay}
		return relay.Address()
	}
	p.cluster, err = kafka.Start(ctx, options)
	p.addLinks(links)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	opts, err := broker.Config{Brokers: p.cluster.Direct()}.Options("gpumeter-chaos")
	if err != nil {
		return err
	}
	// A run that is given up while Kafka is away must end, and a tick that may be
	// there or not is only a tick.
	opts = append(opts, kgo.AllowIdempotentProduceCancellation())
	if p.client, err = kgo.NewClient(opts...); err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	p.admin = kadm.NewClient(p.client)
	_, err = broker.Ensure(ctx, p.client, broker.Layout{Partitions: partitions, Replication: -1})
	return err
}

func (p *pipeline) addLinks(links map[kafka.Listener]*link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l, relay := range links {
		p.links[strings.ToLower(string(l))+arrow+kafkaNode] = relay
	}
}

func (p *pipeline) openClickHouse(ctx context.Context) (err error) {
	log := slog.New(slog.DiscardHandler) // its restarts are faults of ours
	if p.engine, err = chdb.Start(ctx, chdb.Options{Dir: filepath.Join(p.dir, clickHouse), Log: log}); err != nil {
		return err
	}
	for _, name := range p.storers() {
		relay, err := proxy.Listen(p.engine.Address().Native)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.links[name+arrow+clickHouse] = &link{Proxy: relay}
		p.mu.Unlock()
	}
	if p.conn, err = clickhouse.Open(p.engine.DSN()); err != nil {
		return err
	}
	_, err = clickhouse.Migrate(ctx, p.conn)
	return err
}

// brokers is where a stage finds Kafka: at its proxy.
func (p *pipeline) brokers(stage string) string { return p.links[stage+arrow+kafkaNode].Address() }

func (p *pipeline) stage(name, binary string, set ...string) *stage {
	s := &stage{name: name, path: filepath.Join(p.bin, binary), log: filepath.Join(p.dir, "logs", name+".log")}
	s.set(set...)
	return s
}

// collect publishes a directory of files: a collector that was killed is followed
// by one that begins anew.
func (p *pipeline) collect(ctx context.Context, dir string) error {
	// Small batches, so that there is a middle to be killed in.
	s := p.stage(collector+"-"+filepath.Base(dir), "gpumeter-collector", "brokers="+p.brokers(collector), "source.files.dir="+dir, "batch.rows=64")
	defer p.collects(s, false)
	for {
		l, err := s.begin()
		if err != nil {
			return err
		}
		p.collects(s, true)
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), s.kill())
		case <-l.done:
		}
		if err := s.ended(l); err != nil || !s.wasTold(l) {
			return err
		}
	}
}

// collects notes whether a collector runs.
func (p *pipeline) collects(s *stage, runs bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.collectors = slices.DeleteFunc(p.collectors, func(c *stage) bool { return c == s })
	if runs {
		p.collectors = append(p.collectors, s)
	}
}

// collecting is the collector that has run longest, nil when none runs.
func (p *pipeline) collecting() *stage {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.collectors) == 0 {
		return nil
	}
	return p.collectors[0]
}

// killEngine is kill -9 of the ClickHouse process. Its supervisor, in this process,
// starts it again.
func killEngine() error {
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		children, _ := os.ReadFile(task) // of a thread that has ended
		for text := range strings.FieldsSeq(string(children)) {
			command, _ := os.ReadFile("/proc/" + text + "/cmdline")
			pid, err := strconv.Atoi(text)
			if err == nil && strings.HasPrefix(string(command), "gpumeter-clickhouse") {
				return syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	return errors.New("no process of the embedded ClickHouse was found")
}

// close ends everything that open began. Stages are killed: who wants them to end
// well stops them before.
func (p *pipeline) close() error {
	var errs []error
	for _, s := range p.stages {
		if s.run != nil {
			errs = append(errs, s.kill())
		}
	}
	if p.client != nil {
		p.client.Close()
	}
	if p.conn != nil {
		_ = p.conn.Close() // nothing is pending
	}
	if p.cluster != nil {
		errs = append(errs, p.cluster.Stop())
	}
	if p.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		errs = append(errs, p.engine.Stop(ctx))
	}
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
