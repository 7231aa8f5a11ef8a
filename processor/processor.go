package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"

	"github.com/gpumeter/gpumeter/processor/detect"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// Config is the processor's configuration.
type Config struct {
	Broker      broker.Config `koanf:",squash"`
	Topics      broker.Layout `koanf:",squash"`
	Rules       Rules         `koanf:",squash"`
	Group       string        `koanf:"group" doc:"consumer group; one ledger, one group"`
	Instance    string        `koanf:"instance" doc:"name of this process in the group; one that stays over restarts lets a successor end at once what a killed process left open; none = host and process id"`
	Quarantine  string        `koanf:"quarantine" doc:"directory that outlives this process, for notes of what it reads: a record that has killed it twice is passed over; none = it kills for ever"`
	Transaction Transaction   `koanf:"transaction"`
	Tick        Tick          `koanf:"tick"`
	Detect      Detect        `koanf:"detect"`
}

// Transaction bounds the unit of commitment.
type Transaction struct {
	Every   time.Duration `koanf:"every" doc:"how long a transaction gathers input: the delay of every result; one costs the brokers 10 to 30 ms"`
	Records int           `koanf:"records" doc:"records after which a transaction gathers no more"`
	Timeout time.Duration `koanf:"timeout" doc:"after which the brokers give up an open transaction"`
}

// Tick is the ledger's clock.
type Tick struct {
	Every time.Duration `koanf:"every" doc:"how often time moves; 0s = never, for a ledger whose horizon a replay names"`
}

// DefaultConfig lacks the brokers.
func DefaultConfig() Config {
	return Config{
		Topics: broker.DefaultLayout(), Rules: DefaultRules(), Group: "gpumeter-processor",
		Transaction: Transaction{Every: 100 * time.Millisecond, Records: 1000, Timeout: time.Minute},
		Tick:        Tick{Every: 200 * time.Millisecond},
		Detect:      DefaultDetect(),
	}
}

// Validate gives everything that is wrong, with the reasons. What it leaves,
// meter.New checks.
func (c Config) Validate() error {
	errs := []error{c.Broker.Validate(), c.Topics.Validate(), c.Rules.Validate(), c.Detect.Validate()}
	if c.Group != "" && c.Group == c.Detect.Group {
		errs = append(errs, fmt.Errorf("detect.group: %q meters already: a group reads one kind of topic", c.Group))
	}
	if c.Tick.Every < 0 || c.Tick.Every > time.Minute {
		errs = append(errs, fmt.Errorf("tick.every: %v is not from 0s to 1m: windows would close late", c.Tick.Every))
	}
	return errors.Join(errs...)
}

// Uses are what a processor does with the brokers: as a meter, and as a finder.
func (c Config) Uses() []broker.Use {
	return []broker.Use{
		meter.Config{Group: c.Group, Instance: c.Instance}.Use(),
		detect.Config{Group: c.Detect.Group, Instance: c.Instance}.Use(),
	}
}

// Env is what the processor gets from its surroundings.
type Env struct {
	Log   *slog.Logger
	Meter metric.Meter
	// Memory is what the process keeps to [bytes], 0 = no limit: see meter.Config.
	Memory int64
	// Ready, if given, is called once before work begins; m may be asked from
	// then on, from any goroutine.
	Ready func(m *meter.Meter)
}

// Run meters and detects until ctx ends, or until something fails that needs a
// person. What was not committed then is read again by the next owner of its
// partition.
func Run(ctx context.Context, cfg Config, env Env) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	opts, err := cfg.Broker.Options("gpumeter-processor")
	if err != nil {
		return err
	}
	opts = append(opts, meter.Buffers(env.Memory)...)
	instance, err := cfg.instance()
	if err != nil {
		return err
	}
	mc := meter.Config{
		Client: opts, Topics: cfg.Topics, Group: cfg.Group, Instance: instance, Engine: cfg.Rules.Engine(), StateDir: cfg.Rules.State.Dir,
		Every: cfg.Transaction.Every, Records: cfg.Transaction.Records, Timeout: cfg.Transaction.Timeout,
		MemoryLimit: env.Memory, Quarantine: cfg.Quarantine, Meter: env.Meter, Log: env.Log,
	}
	if cfg.Tick.Every > 0 {
		ticker := time.NewTicker(cfg.Tick.Every)
		defer ticker.Stop()
		mc.Tick = ticker.C
	}
	m, err := meter.New(mc)
	if err != nil {
		return err
	}
	idleness, err := cfg.Detect.Idle.Config()
	if err != nil {
		return err
	}
	f, err := detect.New(detect.Config{
		Client: opts, Topics: cfg.Topics, Group: cfg.Detect.Group, Instance: instance, Idle: idleness,
		Timeout: cfg.Transaction.Timeout, Quarantine: cfg.Quarantine, Meter: env.Meter, Log: env.Log,
	})
	if err != nil {
		return err
	}
	if env.Ready != nil {
		env.Ready(m)
	}
	return cfg.Broker.Explain(runBoth(ctx, m.Run, f.Run))
}

// runBoth runs what is upstream and what is downstream of it, until one fails or
// ctx ends.
func runBoth(ctx context.Context, runs ...func(context.Context) error) error {
	both, ctx := errgroup.WithContext(ctx)
	for _, run := range runs {
		both.Go(func() error { return run(ctx) })
	}
	return both.Wait()
}

func (c Config) instance() (string, error) {
	host, err := os.Hostname()
	if c.Instance == "" && err != nil {
		return "", fmt.Errorf("instance: not given, and the host has no name: %w", err)
	}
	return cmp.Or(c.Instance, host+"-"+strconv.Itoa(os.Getpid())), nil
}
