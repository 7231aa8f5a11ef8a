package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/sink"
)

// sinkEnv makes this executable a sink with that configuration.
const sinkEnv = "GPUMETER_TEST_SINK"

// runSink is the sink of a child process.
func runSink() (code int, ran bool) {
	text, ok := os.LookupEnv(sinkEnv)
	if !ok {
		return 0, false
	}
	var cfg sink.Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		slog.Error("configuration", "error", err)
		return 2, true
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	if err := sink.Run(ctx, cfg, sink.Env{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Meter: noop.Meter{}}); err != nil {
		slog.Error("sink", "error", err)
		return 1, true
	}
	return 0, true
}

// config is a sink's; batches of that many rows and bytes.
func (p *pipe) sink(dsn, group string, rows, bytes int) sink.Config {
	cfg := sink.DefaultConfig()
	cfg.Broker, cfg.ClickHouse, cfg.Group = p.config, dsn, group
	cfg.Flush = sink.Flush{Rows: rows, Bytes: bytes, Every: 50 * time.Millisecond}
	return cfg
}

// A child is a sink in a process of its own.
type child struct {
	*testing.T
	pipe    *pipe
	group   string
	command *exec.Cmd
	log     strings.Builder
}

func (p *pipe) spawn(cfg sink.Config) *child {
	p.Helper()
	text, err := json.Marshal(cfg)
	if err != nil {
		p.Fatal(err)
	}
	c := &child{T: p.T, pipe: p, group: cfg.Group, command: exec.Command("/proc/self/exe")}
	c.command.Env = append(os.Environ(), sinkEnv+"="+string(text))
	c.command.Stderr = &c.log
	if err := c.command.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = c.command.Process.Kill() })
	return c
}

// kill ends it without warning, and puts it out of the group as the brokers do
// after ten seconds without a heartbeat.
func (c *child) kill() {
	c.Helper()
	_ = c.command.Process.Signal(syscall.SIGCONT)
	if err := c.command.Process.Kill(); err != nil {
		c.Fatal(err)
	}
	_ = c.command.Wait()
	c.pipe.evict(c.group)
}

// stop ends it in order.
func (c *child) stop() {
	c.Helper()
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		c.Fatal(err)
	}
	if err := c.command.Wait(); err != nil {
		c.Fatalf("the sink ended: %v\n%s", err, c.log.String())
	}
}

// evict empties a group.
func (p *pipe) evict(group string) {
	p.Helper()
	described, err := p.admin.DescribeGroups(p.Context(), group)
	if err != nil {
		p.Fatal(err)
	}
	request := kmsg.NewPtrLeaveGroupRequest()
	request.Group = group
	for _, m := range described[group].Members {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = m.MemberID
		request.Members = append(request.Members, member)
	}
	if len(request.Members) == 0 {
		return
	}
	if _, err := request.RequestWith(p.Context(), p.client); err != nil {
		p.Fatal(err)
	}
}

// await polls for what cannot be awaited otherwise: the state of another process
// or server.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited for %s in vain", what)
		case <-poll.C:
		}
	}
}

func reach(t *testing.T, what string, reached <-chan struct{}) {
	t.Helper()
	select {
	case <-reached:
	case <-time.After(time.Minute):
		t.Fatalf("waited for %s in vain", what)
	}
}

// sinkTables are the tables that inserts go to, in the order in which a batch
// stores them.
func sinkTables() []string {
	tables := []string{clickhouse.TableCells}
	for _, stream := range []string{"samples", "dead_letters", "findings", "processes", "allocations", "resources", "prices", "tags"} {
		tables = append(tables, clickhouse.LogTable(stream))
	}
	return tables
}

// sizes of batches: each start of a sink has others.
func sizes(n int) (rows, bytes int) {
	return []int{100_000, 7, 40, 1}[n%4], []int{16 << 20, 1 << 10, 1 << 20, 2 << 10}[n%4]
}

// Sinks are killed at each step of the insert into each table, and their
// successors have batches of another size. Then nothing is lost and nothing is
// double in any view.
func TestKilledAtEachStepOfEachInsert(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	e.keepParts()
	native, web := newProxy(t, strings.TrimPrefix(e.DSN(), "clickhouse://default@")), newProxy(t, strings.TrimPrefix(e.HTTPURL(), "http://default@"))
	rounds := 0
	try := func(x *proxy, dsn, table string, s step) {
		reached := x.lurk(table, s)
		had := e.stored(table)
		rows, bytes := sizes(rounds)
		c := p.spawn(p.sink(dsn, "g", rows, bytes))
		p.round(rounds)
		rounds++
		reach(t, fmt.Sprintf("%s into %s\n%s", s, table, c.log.String()), reached)
		if s == unheard {
			await(t, "the rows of "+table, func() bool { return e.stored(table) > had })
		}
		c.kill()
		x.free()
	}
	tables := sinkTables()
	if testing.Short() {
		tables = tables[:2]
	}
	for _, table := range tables {
		for s := before; s <= unheard; s++ {
			try(native, "clickhouse://default@"+native.address(), table, s)
		}
	}
	for s := before; s <= unheard; s++ {
		try(web, "http://default@"+web.address(), clickhouse.TableCells, s)
	}
	p.run(e.DSN(), "g")
	for _, table := range sinkTables() {
		if inserted, differ := e.stored(table), e.stored(table+" FINAL"); inserted <= differ {
			t.Errorf("%s: %d rows were inserted, %d differ: nothing came twice", table, inserted, differ)
		}
	}
	e.shows(p, rounds)
}

// Sinks are killed between the insert and the commit of its offsets, and right
// after the commit.
func TestKilledAroundTheCommit(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	e.keepParts()
	const rounds = 6
	for n := range rounds {
		reached, dead := make(chan struct{}), make(chan struct{})
		if n%2 == 0 {
			p.cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
				close(reached)
				<-dead // nothing is answered any more
				return nil, context.Canceled, true
			})
		}
		had := e.stored("cells")
		rows, bytes := sizes(n)
		c := p.spawn(p.sink(e.DSN(), "g", rows, bytes))
		p.round(n)
		if n%2 == 0 {
			reach(t, "the commit", reached)
			if err := c.command.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			close(dead)
			if e.stored("cells") == had {
				t.Error("the commit came before the insert")
			}
		} else {
			await(t, "a commit", func() bool {
				lag, err := sink.Lag(t.Context(), p.admin, "g")
				return err == nil && lag == 0
			})
		}
		c.kill()
	}
	p.run(e.DSN(), "g")
	e.shows(p, rounds)
}
