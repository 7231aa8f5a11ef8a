package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// migrateConfig is everything that gpumeter migrate can be told.
type migrateConfig struct {
	Log        service.Log `koanf:"log"`
	Data       string      `koanf:"data" doc:"data directory of the ledger; may be open in another command"`
	ClickHouse string      `koanf:"clickhouse" secret:"address" doc:"DSN of a ClickHouse server; none = the embedded one"`
}

func migrateCommand() *cobra.Command {
	var o options
	defaults := migrateConfig{Log: defaultLog()}
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "bring the tables and views of a ClickHouse to this version",
		Long: `migrate makes the database gpumeter with its tables and views, or brings an older
one to this version. It may run at any time and from several places at once; sinks
do the same when they start, unless they are told migrate=false. A database that a
newer gpumeter made is left alone. With --users it prints the SQL that makes a server's
users with the least rights, for its administrator to run.`,
		Example: `  gpumeter migrate --data ledger
  gpumeter migrate --users
  gpumeter migrate --clickhouse 'clickhouse://gpumeter@clickhouse:9000?password_file=/run/secrets/clickhouse'`,
		Args: cobra.NoArgs,
	}
	o.flag(cmd, "data", "data", "`DIR` of an embedded ClickHouse")
	o.flag(cmd, "clickhouse", "clickhouse", "`DSN` of your ClickHouse")
	o.keys(cmd, defaults)
	users := cmd.Flags().Bool("users", false, "print the SQL that makes the users")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if *users {
			return printUsers(cmd.OutOrStdout())
		}
		cfg := defaults
		if err := service.Load(&cfg, o.sources("")); err != nil {
			return err
		}
		where := stack.DefaultConfig()
		where.Data, where.ClickHouse = cfg.Data, cfg.ClickHouse
		engine, done, err := stack.Engine(cmd.Context(), where, cfg.Log.Logger(cmd.ErrOrStderr()))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		version, err := migrate(cmd.Context(), engine)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "the database gpumeter is at version %d\n", version)
		return err
	}
	return cmd
}

func printUsers(to io.Writer) error {
	for _, u := range clickhouse.Users() {
		if _, err := fmt.Fprintln(to, u.SQL()); err != nil {
			return err
		}
	}
	return nil
}

// migrate brings the tables of s to this program's version.
func migrate(ctx context.Context, s *stack.Stack) (version uint32, err error) {
	conn, err := clickhouse.Open(s.ClickHouse)
	if err != nil {
		return 0, err
	}
	version, err = clickhouse.Migrate(ctx, conn)
	return version, errors.Join(err, conn.Close())
}
