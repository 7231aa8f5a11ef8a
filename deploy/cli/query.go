package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/query"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// queryConfig is everything that gpumeter query can be told.
type queryConfig struct {
	Log        service.Log `koanf:"log"`
	Data       string      `koanf:"data" doc:"data directory of the ledger; may be open in another command"`
	ClickHouse string      `koanf:"clickhouse" secret:"address" doc:"URL of a ClickHouse server's HTTP protocol; none = the embedded one"`
	Format     string      `koanf:"format" doc:"ClickHouse output format where the query names none: CSVWithNames, JSONEachRow, Parquet, …"`
}

func queryCommand() *cobra.Command {
	var o options
	defaults := queryConfig{Log: defaultLog(), Format: query.Format}
	cmd := &cobra.Command{
		Use:   "query --data DIR 'SQL'",
		Short: "ask the ledger in SQL, in any output format",
		Long: `query runs SQL on the ledger: gpumeter.cost (the newest revision of every cost
fact), cost_history (every revision), allocations, samples, dead_letters. It works
while another command has the data directory open. "-" reads SQL from standard input.`,
		Example: `  gpumeter query --data ledger "SELECT state, sum(gpu_ms)/3.6e6 AS gpu_hours, sum(list_cost) FROM gpumeter.cost GROUP BY state"
  gpumeter query --data ledger --format JSONEachRow "SELECT * FROM gpumeter.allocations WHERE user = 'ann'"
  gpumeter query --data ledger --format Parquet "SELECT * FROM gpumeter.cost" > cost.parquet
  gpumeter query --clickhouse http://me@clickhouse:8123 "DESCRIBE gpumeter.cost"`,
		Args: oneArgument("SQL"),
	}
	o.flag(cmd, "data", "data", "`DIR` of the ledger")
	o.flag(cmd, "clickhouse", "clickhouse", "`URL` of your ClickHouse instead: http://user@host:8123")
	o.flag(cmd, "format", "format", "ClickHouse output `FORMAT`")
	o.keys(cmd, defaults)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		cfg := defaults
		if err := service.Load(&cfg, o.sources("")); err != nil {
			return err
		}
		sql, err := statement(args[0], cmd.InOrStdin())
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
		url, err := engine.URL()
		if err != nil {
			return err
		}
		return query.Run(cmd.Context(), url, sql, cfg.Format, cmd.OutOrStdout())
	}
	return cmd
}

func statement(argument string, stdin io.Reader) (string, error) {
	if argument != "-" {
		return argument, nil
	}
	sql, err := io.ReadAll(stdin)
	if err != nil {
		return "", fmt.Errorf("read SQL from standard input: %w", err)
	}
	return string(sql), nil
}

// oneArgument wants exactly one and says its name where it is missing.
func oneArgument(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && strings.TrimSpace(args[0]) != "" {
			return nil
		}
		return fmt.Errorf("one %s is wanted, not %d arguments: gpumeter %s --help shows how", name, len(args), cmd.Name())
	}
}

// directory checks early that dir is one.
func directory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is a file: name the directory that holds it", dir)
	}
	return nil
}
