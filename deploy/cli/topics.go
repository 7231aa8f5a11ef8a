package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/rights"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// topicsConfig is everything that gpumeter topics can be told.
type topicsConfig struct {
	Log    service.Log   `koanf:"log"`
	Data   string        `koanf:"data" doc:"data directory of an embedded broker"`
	Broker broker.Config `koanf:",squash"`
	Topics broker.Layout `koanf:",squash"`
}

// Validate lets a command without brokers be: it only prints.
func (c topicsConfig) Validate() error {
	if len(c.Broker.Brokers) == 0 {
		return c.Topics.Validate()
	}
	return errors.Join(c.Broker.Validate(), c.Topics.Validate())
}

func topicsCommand() *cobra.Command {
	var o options
	defaults := topicsConfig{Log: defaultLog(), Topics: broker.DefaultLayout()}
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "print the topics, make those that are missing, check the others; print who needs which rights",
		Long: `topics makes the topics of gpumeter on your brokers where they are missing, and
checks those that are there: an error names the topic, what it is, what it must be,
and the command that mends it. Topics that somebody else made are fine. Without
brokers it prints what it would make. With --dry-run it makes nothing and says what
is missing and what differs. With --acls it prints the least rights of each component,
as a table and as the commands of Kafka's own tool.`,
		Example: `  gpumeter topics
  gpumeter topics --acls
  gpumeter topics --brokers kafka-1:9092 --dry-run
  gpumeter topics --brokers kafka-1:9092,kafka-2:9092 --set partitions=32 --set replication=3
  gpumeter topics --config gpumeter.yaml`,
		Args: cobra.NoArgs,
	}
	o.flag(cmd, "data", "data", "`DIR` of an embedded broker")
	o.flag(cmd, "brokers", "brokers", "`LIST` of host:port of your brokers")
	o.keys(cmd, defaults)
	acls := cmd.Flags().Bool("acls", false, "print the least rights of each component")
	dry := cmd.Flags().Bool("dry-run", false, "make nothing; say what is missing and what differs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		cfg := defaults
		if err := service.Load(&cfg, o.sources("")); err != nil {
			return err
		}
		if *acls {
			return rights.Print(cmd.OutOrStdout(), rights.Components())
		}
		partitions := cfg.Topics.Partitions
		if cfg.Data != "" || len(cfg.Broker.Brokers) > 0 {
			s, err := stack.OpenBroker(stack.Config{Data: cfg.Data, Broker: cfg.Broker}, cfg.Log.Logger(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(s.Broker.Explain(err), s.Close()) }()
			if *dry {
				return survey(cmd.Context(), s, cmd.OutOrStdout())
			}
			if partitions, err = s.Topics(cmd.Context(), cfg.Topics); err != nil {
				return err
			}
		}
		return printTopics(cmd.OutOrStdout(), partitions)
	}
	return cmd
}

// survey prints what the brokers have beside what must be; that something is
// missing or differs is an error, too.
func survey(ctx context.Context, s *stack.Stack, to io.Writer) error {
	client, err := s.Client("gpumeter")
	if err != nil {
		return err
	}
	defer client.Close()
	states, err := broker.Survey(ctx, client)
	if err != nil {
		return fmt.Errorf("topics at %v: %w", s.Broker.Brokers, err)
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tTHERE\tVERDICT")
	wrong := 0
	for _, t := range states {
		verdict := "fine"
		switch {
		case t.Partitions == 0:
			verdict = "missing: gpumeter topics makes it"
		case t.Differs != nil:
			verdict = t.Differs.Error()
		}
		if verdict != "fine" {
			wrong++
		}
		fmt.Fprintf(w, "%s\t%d\t%s\n", t.Stream.Topic(), t.Partitions, verdict)
	}
	if err := w.Flush(); err != nil || wrong == 0 {
		return err
	}
	return fmt.Errorf("%d of %d topics are missing or differ", wrong, len(states))
}

func printTopics(to io.Writer, partitions int32) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tPARTITIONS\tKEY\tRETENTION\tWHAT")
	for _, s := range schemas.Streams() {
		n, retention := int32(1), "for ever"
		if s.Partitioned {
			n = partitions
		}
		if s.Retention > 0 {
			retention = fmt.Sprintf("%.0f d", s.Retention.Hours()/24)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", s.Topic(), n, s.Key, retention, s.Doc)
	}
	return w.Flush()
}
