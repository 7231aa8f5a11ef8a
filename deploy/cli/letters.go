package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/letters"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// lettersConfig is everything that gpumeter dead-letters can be told.
type lettersConfig struct {
	Log        service.Log   `koanf:"log"`
	Data       string        `koanf:"data" doc:"data directory of the ledger"`
	ClickHouse string        `koanf:"clickhouse" doc:"DSN of a ClickHouse server; none = the embedded one"`
	Broker     broker.Config `koanf:",squash"`
	Reason     string        `koanf:"reason" doc:"only letters of this reason (docs/schemas.md lists them)"`
	Stream     string        `koanf:"stream" doc:"only letters of this stream, as in samples"`
	Topic      string        `koanf:"topic" doc:"only letters about records in this topic, as in gpumeter.samples"`
	Since      time.Duration `koanf:"since" doc:"only letters that are not older, as in 24h; 0s = any"`
	Limit      int           `koanf:"limit" doc:"the newest of them"`
	Because    string        `koanf:"because" doc:"why letters are dropped"`
}

// Validate gives everything that is wrong, with the reasons.
func (c lettersConfig) Validate() error {
	var errs []error
	if c.Limit < 1 || c.Limit > 100_000 {
		errs = append(errs, fmt.Errorf("limit: %d is not from 1 to 100000: letters are in memory as a whole", c.Limit))
	}
	if c.Since < 0 {
		errs = append(errs, fmt.Errorf("since: %v is negative: write how far back to look, as in 24h", c.Since))
	}
	if len(c.Broker.Brokers) > 0 {
		errs = append(errs, c.Broker.Validate())
	}
	return errors.Join(errs...)
}

// What dead-letters does.
const (
	verbList  = "list"
	verbRetry = "retry"
	verbDrop  = "drop"
)

func lettersCommand() *cobra.Command {
	var o options
	var asJSON, all bool
	defaults := lettersConfig{Log: defaultLog(), Limit: 100}
	cmd := &cobra.Command{
		Use:   "dead-letters list|retry|drop [ID...]",
		Short: "what was refused or went missing, and what to do about it",
		Long: `dead-letters lists what was refused, quarantined, reported or lost, with the remedy of
each; retry publishes it again once the cause is mended; drop says that it needs
nothing. Letters that were retried or dropped are listed with --all only, and stay
in the view gpumeter.dead_letters for ever. Doing either twice is harmless.

retry takes a record from its place in Kafka, whole, while its topic keeps it, and a
line of a file from the letter, which has it whole up to 64 KiB. What is only
reported (no_start, no_resource, price_conflict) is kept and counts by itself.`,
		Example: `  gpumeter dead-letters list --data ledger --since 24h
  gpumeter dead-letters list --clickhouse http://me@clickhouse:8123 --reason corrupt --json
  gpumeter dead-letters retry --clickhouse http://me@clickhouse:8123 --brokers kafka-1:9092 1f0c2a9be3d47788
  gpumeter dead-letters drop --data ledger --topic gpumeter.tags --because 'a test wrote them'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || !slices.Contains([]string{verbList, verbRetry, verbDrop}, args[0]) {
				return errors.New("say list, retry or drop: gpumeter dead-letters --help shows how")
			}
			return nil
		},
	}
	o.stackFlags(cmd)
	o.flag(cmd, "reason", "reason", "only letters of this `REASON`")
	o.flag(cmd, "stream", "stream", "only letters of this `STREAM`")
	o.flag(cmd, "topic", "topic", "only letters about records in this `TOPIC`")
	o.flag(cmd, "since", "since", "only letters that are not older than this `TIME`, as in 24h")
	o.flag(cmd, "limit", "limit", "the newest `NUMBER` of them (default 100)")
	o.flag(cmd, "because", "because", "`WHY` letters are dropped")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&all, "all", false, "also letters that were retried or dropped")
	o.keys(cmd, defaults)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg := defaults
		if err := service.Load(&cfg, o.sources("")); err != nil {
			return err
		}
		f := letters.Filter{
			IDs: args[1:], Reason: cfg.Reason, Stream: cfg.Stream, Topic: cfg.Topic, Since: cfg.Since, Limit: cfg.Limit,
			All: all || len(args) > 1, // who names one knows that it is there
		}
		print := printLetters
		if asJSON {
			print = printJSON
		}
		return cfg.run(cmd.Context(), args[0], f, cmd.ErrOrStderr(), func(result any) error { return print(cmd.OutOrStdout(), result) })
	}
	return cmd
}

// run does what the verb says.
func (c lettersConfig) run(ctx context.Context, verb string, f letters.Filter, logs io.Writer, show func(any) error) (err error) {
	s, done, err := c.open(ctx, verb == verbRetry, logs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	conn, err := clickhouse.Open(s.ClickHouse)
	if err != nil {
		return err
	}
	defer conn.Close()
	result, err := c.do(ctx, verb, f, s, conn)
	return errors.Join(show(result), err)
}

func (c lettersConfig) do(ctx context.Context, verb string, f letters.Filter, s *stack.Stack, conn driver.Conn) (any, error) {
	switch verb {
	case verbRetry:
		opts, err := s.Broker.Options("gpumeter-dead-letters")
		if err != nil {
			return nil, err
		}
		return letters.Retry(ctx, conn, opts, f)
	case verbDrop:
		return letters.Drop(ctx, conn, f, c.Because)
	}
	return letters.List(ctx, conn, f)
}

// open finds ClickHouse, and the brokers where they are needed.
func (c lettersConfig) open(ctx context.Context, brokers bool, logs io.Writer) (*stack.Stack, func() error, error) {
	where := stack.DefaultConfig()
	where.Data, where.ClickHouse, where.Broker = c.Data, c.ClickHouse, c.Broker
	log := c.Log.Logger(logs)
	engine, done, err := stack.Engine(ctx, where, log)
	if err != nil || !brokers {
		return engine, done, err
	}
	if where.EmbedsBroker() && c.Data == "" {
		return nil, nil, errors.Join(errors.New("brokers: not given: retry publishes to Kafka; name your brokers with --brokers"), done())
	}
	kafka, err := stack.OpenBroker(where, log)
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	engine.Broker = kafka.Broker
	return engine, func() error { return errors.Join(kafka.Close(), done()) }, nil
}

func printJSON(to io.Writer, result any) error {
	out := json.NewEncoder(to)
	out.SetIndent("", "  ")
	return out.Encode(result)
}

func printLetters(to io.Writer, result any) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	switch result := result.(type) {
	case []letters.Letter:
		fmt.Fprintln(w, "ID\tAPPENDED\tSTATE\tSTREAM\tREASON\tCOUNT\tPLACE")
		for _, l := range result {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", l.ID, l.At.UTC().Format(time.RFC3339), l.State, l.Stream, l.Reason, l.Count, oneLine(l.Place))
			fmt.Fprintf(w, "  %s\n  remedy: %s\n", oneLine(l.Detail), l.Remedy)
			if l.Note != "" {
				fmt.Fprintf(w, "  note: %s\n", oneLine(l.Note))
			}
		}
	case []letters.Outcome:
		for _, o := range result {
			fmt.Fprintf(w, "%s\t%s\t%s\n", o.Letter.ID, oneLine(o.Letter.Place), oneLine(o.Why))
		}
	}
	return w.Flush()
}

// oneLine keeps a text that somebody else wrote from drawing on the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
