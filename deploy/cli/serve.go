package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// serveConfig is everything that gpumeter serve can be told.
type serveConfig struct {
	Shell service.Config `koanf:",squash"`
	Stack stack.Config   `koanf:",squash"`
}

// Validate gives everything that is wrong, with the reasons.
func (c serveConfig) Validate() error { return errors.Join(c.Shell.Validate(), c.Stack.Validate()) }

func serveCommand() *cobra.Command {
	var o options
	defaults := serveConfig{Shell: service.DefaultConfig(0), Stack: stack.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "run the embedded broker and ClickHouse for other processes",
		Long: `serve runs a broker and a ClickHouse on loopback, with topics and tables in place,
until it is told to stop, and prints how to reach them as keys of the other
binaries. It is for trying things out: the broker is one node without passwords, and
a kill -9 of it may lose records.`,
		Example: `  gpumeter serve --data ledger --set listen.kafka=127.0.0.1:9092 --set listen.native=127.0.0.1:9000
  gpumeter-sink      --set brokers=127.0.0.1:9092 --set clickhouse=clickhouse://default@127.0.0.1:9000
  gpumeter-processor --set brokers=127.0.0.1:9092
  gpumeter-collector --set brokers=127.0.0.1:9092 --set source.files.dir=events`,
		Args: cobra.NoArgs,
	}
	o.stackFlags(cmd)
	o.keys(cmd, defaults)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg := defaults
		if err := service.Load(&cfg, o.sources("")); err != nil {
			return err
		}
		return service.Run(cmd.Context(), "gpumeter-serve", cfg.Shell, cmd.ErrOrStderr(), func(ctx context.Context, p *service.Process) error {
			return serve(ctx, cfg.Stack, p, cmd.OutOrStdout())
		})
	}
	return cmd
}

// redacted is an address without its password.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Redacted()
}

// serve holds the stack open until ctx ends.
func serve(ctx context.Context, cfg stack.Config, p *service.Process, to io.Writer) (err error) {
	s, err := stack.Open(ctx, cfg, p.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.Topics(ctx, cfg.Topics); err != nil {
		return err
	}
	if _, err := migrate(ctx, s); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(to, "brokers=%s\nclickhouse=%s\nhttp=%s\nready\n", strings.Join(s.Broker.Brokers, ","), redacted(s.ClickHouse), redacted(s.HTTP)); err != nil {
		return fmt.Errorf("say where it listens: %w", err)
	}
	p.Ready(nil)
	<-ctx.Done()
	return nil
}
