package failover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/detect"
	"github.com/gpumeter/gpumeter/processor/idle"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// ordersVariable makes a process a worker: what a processor is, but that it can be
// told when to die.
const ordersVariable = "GPUMETER_FAILOVER_ORDERS"

// orders are what a worker is told.
type orders struct {
	Brokers  []string
	Instance string
	Doom     doom
}

// A doom is the request at which a worker dies, or freezes until it is resumed.
type doom struct {
	Stage   string   // meter or detect; "" = none
	Request kmsg.Key // which kind of request
	Moment  string   // of the request: before, sent or answered
	Nth     int64    // request of the kind since the worker was armed
	Freeze  bool     // SIGSTOP instead of SIGKILL
}

const (
	before   = "before"   // the broker does not hear of it
	sent     = "sent"     // it is on the wire; the broker may have acted on it or not
	answered = "answered" // the broker has acted, the worker does not learn of it
)

// obey runs a worker until its standard input ends, and gives its exit code. A line
// of input arms its doom.
func obey(text string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		log.Error("reading the orders", "error", err)
		return 2
	}
	end := &ending{doom: o.Doom}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			end.armed.Store(true)
		}
		stop()
	}()
	if err := o.run(ctx, end, log); err != nil {
		log.Error("ended", "error", err)
		return 1
	}
	return 0
}

// run is processor.Run with an ending.
func (o orders) run(ctx context.Context, end *ending, log *slog.Logger) error {
	client := func(stage string) []kgo.Opt {
		opts, err := broker.Config{Brokers: o.Brokers}.Options("worker-" + o.Instance)
		if err != nil {
			panic(err) // the addresses are the test's
		}
		opts = append(opts, kgo.SessionTimeout(session), kgo.HeartbeatInterval(session/10))
		if end.doom.Stage == stage {
			opts = append(opts, kgo.WithHooks(end), kgo.Dialer(end.dial))
		}
		return opts
	}
	m, err := meter.New(meter.Config{
		Client: client("meter"), Topics: layout(), Instance: o.Instance, Engine: processor.DefaultRules().Engine(), Timeout: transaction, Log: log,
	})
	if err != nil {
		return err
	}
	f, err := detect.New(detect.Config{Client: client("detect"), Topics: layout(), Instance: o.Instance, Idle: rule(), Timeout: transaction, Log: log})
	if err != nil {
		return err
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return m.Run(ctx) })
	both.Go(func() error { return f.Run(ctx) })
	return both.Wait()
}

const (
	// session is after what time without a heartbeat a worker is out of its groups:
	// short enough for tests, long enough for a machine that has other work.
	session = 2 * time.Second
	// transaction is after what time brokers give an open one up. A processor cannot
	// be configured to less.
	transaction = 10 * time.Second
)

// layout is of few partitions, so that small inputs fill them.
func layout() broker.Layout { return broker.Layout{Partitions: partitions, Replication: -1} }

const partitions = 4

// rule finds an allocation idle after 10 s, and alerts after a minute.
func rule() idle.Config {
	return idle.Config{Default: idle.Settings{Share: 20_000, Notice: 10_000, Alert: 60_000}}
}

// An ending waits for its request.
type ending struct {
	doom  doom
	armed atomic.Bool
	seen  [3]atomic.Int64 // requests, by moment
}

// at ends the process when this is the request and the moment.
func (e *ending) at(moment string, key int16) {
	if !e.armed.Load() || key != e.doom.Request.Int16() || moment != e.doom.Moment {
		return
	}
	i := map[string]int{before: 0, sent: 1, answered: 2}[moment]
	if e.seen[i].Add(1) != e.doom.Nth {
		return
	}
	if e.doom.Freeze {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // not one instruction more
}

// OnBrokerWrite is kgo's.
func (e *ending) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		e.at(sent, key)
	}
}

// OnBrokerRead is kgo's; it comes before the client acts on what was read.
func (e *ending) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		e.at(answered, key)
	}
}

func (e *ending) dial(ctx context.Context, network, host string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, host)
	if err != nil {
		return nil, err
	}
	return &watched{conn, e}, nil
}

// watched is a connection that looks at each request before it is written. The
// client writes each as a whole: four bytes of length, two of its key.
type watched struct {
	net.Conn
	end *ending
}

func (w *watched) Write(request []byte) (int, error) {
	if len(request) < 6 {
		return 0, errors.New("half a request")
	}
	w.end.at(before, int16(request[4])<<8|int16(request[5]))
	return w.Conn.Write(request)
}
