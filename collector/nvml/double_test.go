package nvml

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector/owners"
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A double is a GPU that answers by a function.
type double struct {
	uuid    string
	say     func(processes bool) ([]reading, error)
	calls   atomic.Int64
	pending atomic.Int64
	most    atomic.Int64 // calls at one time
}

func (g *double) id() string    { return g.uuid }
func (g *double) model() string { return "H100" }

func (g *double) read(processes bool) ([]reading, error) {
	g.calls.Add(1)
	n := g.pending.Add(1)
	defer g.pending.Add(-1)
	if n > g.most.Load() {
		g.most.Store(n)
	}
	return g.say(processes)
}

// busy is a reading of a device at work.
func busy() reading { return reading{utilization: said(uint32(80)), memoryUsed: said(uint64(4 << 30))} }

// works answers at once, with the pids when asked for processes.
func works(uuid string, pids ...int) *double {
	return &double{uuid: uuid, say: func(processes bool) ([]reading, error) {
		r := busy()
		if processes {
			r.processes = said(list(pids...))
		}
		return []reading{r}, nil
	}}
}

func list(pids ...int) []process {
	out := []process{}
	for _, pid := range pids {
		out = append(out, process{pid, 1 << 30})
	}
	return out
}

// doubles is a driver of them.
type doubles struct {
	list   []gpu
	closed atomic.Bool
}

func (d *doubles) gpus() []gpu { return d.list }
func (d *doubles) close()      { d.closed.Store(true) }

// rows is a sink that keeps what it is given.
type rows struct {
	mu        sync.Mutex
	samples   []contract.Sample
	processes []schemas.Process
	resources []schemas.Resource
	fail      error // of the next sample
}

func (r *rows) Sample(s *contract.Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, *s)
	return r.fail
}

func (r *rows) Process(p schemas.Process) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.processes = append(r.processes, p)
	return nil
}

func (r *rows) Resource(v schemas.Resource) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resources = append(r.resources, v)
	return nil
}

func (*rows) Allocation(schemas.Allocation) error { return nil }
func (*rows) Price(schemas.Price) error           { return nil }
func (*rows) Tag(schemas.Tag) error               { return nil }
func (*rows) DeadLetter(schemas.DeadLetter) error { return nil }

// of are the instants at which the GPU was sampled.
func (r *rows) of(gpu string) (at []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.samples {
		if s.GPU == gpu {
			at = append(at, s.TS)
		}
	}
	return at
}

// logs is a logger's output.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) count(part string) int { return strings.Count(l.String(), part) }

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Node, cfg.Provider = "n1", "acme"
	return cfg
}

// newNode is the source over doubles.
func newNode(t *testing.T, cfg Config, owners Owners, gpus ...gpu) (*node, *doubles, *logs) {
	t.Helper()
	l := &logs{}
	src, err := New(cfg, Env{Log: slog.New(slog.NewTextHandler(l, nil)), Meter: noop.Meter{}, Owners: owners})
	if err != nil {
		t.Fatal(err)
	}
	d := &doubles{list: gpus}
	n := src.(*node)
	n.open = func(Config, *slog.Logger) (driver, error) { return d, nil }
	return n, d, l
}

// told is an Owners that keeps what it was told.
type told struct {
	held  [][]owners.Held
	owner map[int]string
}

func (o *told) Observe(_ int64, held []owners.Held, _ source.Sink) (map[int]string, error) {
	o.held = append(o.held, held)
	return o.owner, nil
}
