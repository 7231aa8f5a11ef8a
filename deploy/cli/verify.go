package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/deploy/settings"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/deploy/verify"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// verifyConfig is everything that gpumeter verify can be told.
type verifyConfig struct {
	Log        service.Log     `koanf:"log"`
	Data       string          `koanf:"data" doc:"data directory of the ledger; may be open in another command"`
	ClickHouse string          `koanf:"clickhouse" secret:"address" doc:"DSN of a ClickHouse server; none = the embedded one"`
	Input      string          `koanf:"input" doc:"directory that the ledger was made from; none = conservation only"`
	Until      service.Instant `koanf:"until" doc:"horizon: RFC 3339 or Unix ms; none = the replay's"`
	Rules      processor.Rules `koanf:",squash"`
}

// ErrBroken is returned by verify when the ledger is not what it must be; the
// report has been printed.
var ErrBroken = errors.New("the ledger is broken")

func verifyCommand() *cobra.Command {
	var o options
	var asJSON bool
	defaults := verifyConfig{Log: defaultLog(), Rules: processor.DefaultRules()}
	cmd := &cobra.Command{
		Use:   "verify --data DATA [--input DIR]",
		Short: "check that a ledger adds up and equals an independent recomputation",
		Long: `verify reads every row of gpumeter.cost. Rows must tile every GPU of every resource
in space and time, cost what their price says to the nano-unit, and add up per
resource and hour. With --input it also recomputes the whole ledger from the files, by
code that shares nothing with the processor, and compares row by row.

It judges by the rules and the horizon of the replay that made the ledger. Exit code
0: nothing is broken. 1: the report names the first broken row.`,
		Example: `  gpumeter verify --data ledger
  gpumeter verify --data ledger --input events
  gpumeter verify --data ledger --input events --json | jq .first`,
		Args: cobra.NoArgs,
	}
	o.flag(cmd, "data", "data", "`DIR` of the ledger")
	o.flag(cmd, "clickhouse", "clickhouse", "`DSN` of your ClickHouse instead of the embedded one")
	o.flag(cmd, "input", "input", "`DIR` that the ledger was made from")
	o.flag(cmd, "until", "until", "horizon of the ledger: `TIME` in RFC 3339 or Unix milliseconds")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	o.keys(cmd, defaults)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		cfg, err := loadWithSettings(&o, defaults, func(c verifyConfig) string { return c.Data })
		if err != nil {
			return err
		}
		opt, err := cfg.options(time.Now())
		if err != nil {
			return err
		}
		where := stack.DefaultConfig()
		where.Data, where.ClickHouse = cfg.Data, cfg.ClickHouse
		engine, done, err := stack.Engine(cmd.Context(), where, cfg.Log.Logger(cmd.ErrOrStderr()))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		conn, err := clickhouse.Open(engine.ClickHouse)
		if err != nil {
			return err
		}
		defer conn.Close()
		report, err := verify.Ledger(cmd.Context(), conn, opt)
		if err != nil {
			return err
		}
		return printReport(cmd.OutOrStdout(), &report, asJSON)
	}
	return cmd
}

// options are c for package verify, with what the latest replay noted.
func (c verifyConfig) options(now time.Time) (opt verify.Options, err error) {
	if c.Input != "" {
		if err := directory(c.Input); err != nil {
			return opt, err
		}
	}
	last := settings.Last{}
	if c.Data != "" {
		if last, err = settings.ReadLast(c.Data); err != nil {
			return opt, err
		}
	}
	if last.At == 0 {
		last.At = now.UnixMilli()
	}
	if c.Until != 0 {
		last.Horizon, last.Named = int64(c.Until), true
	}
	opt.Input, opt.Oracle = c.Input, oracle.Options{
		Now: last.At, Window: c.Rules.Window.Milliseconds(), Epsilon: int64(c.Rules.Engine().Epsilon),
		IdleMemory: int64(min(c.Rules.Idle.MemoryBytes, math.MaxInt64)), From: int64(c.Rules.Ledger.From),
	}
	if last.Horizon != 0 {
		opt.Horizon = &last.Horizon
	}
	if last.Named {
		opt.Oracle.Until = &last.Horizon
	}
	return opt, nil
}

func printReport(to io.Writer, report *verify.Report, asJSON bool) error {
	var err error
	if asJSON {
		out := json.NewEncoder(to)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	} else {
		_, err = fmt.Fprint(to, report)
	}
	if err == nil && !report.OK() {
		err = ErrBroken
	}
	return err
}
