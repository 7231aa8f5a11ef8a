package service

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// Version is the module version or the commit that the binary was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			return s.Value
		}
	}
	return version
}

// A Binary is a program that runs one component with a configuration of type C.
type Binary[C any] struct {
	Use     string // name, and arguments if there are any
	Short   string // one line
	Long    string // what it does, in paragraphs
	Example string

	Defaults func() C
	Shell    func(*C) *Config // the shell's part of C
	Run      func(ctx context.Context, cfg C, p *Process) error
}

// Command makes the command line of b: --config, --set, --help with every key,
// --version.
func Command[C any](b Binary[C]) *cobra.Command {
	var from Sources
	cmd := &cobra.Command{
		Use: b.Use, Short: b.Short, Long: b.Long, Example: b.Example,
		Args: cobra.NoArgs, Version: Version(), SilenceUsage: true, SilenceErrors: true,
	}
	AddFlags(cmd, &from, b.Defaults())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg := b.Defaults()
		if err := Load(&cfg, from); err != nil {
			return err
		}
		return Run(cmd.Context(), cmd.Name(), *b.Shell(&cfg), cmd.ErrOrStderr(), func(ctx context.Context, p *Process) error {
			return b.Run(ctx, cfg, p)
		})
	}
	return cmd
}

// AddFlags gives cmd the flags --config and --set, which fill from, and the
// keys of defaults in its help. from.Env becomes the environment of the process.
func AddFlags(cmd *cobra.Command, from *Sources, defaults any) {
	from.Env = os.Environ()
	cmd.Flags().StringVar(&from.File, "config", "", "YAML `FILE` with the keys below; unknown keys are refused")
	cmd.Flags().StringArrayVar(&from.Set, "set", nil, "`KEY=VALUE` for one of the keys below; repeatable, stronger than the file and the environment")
	// Not by a help template: text/template calls methods by name, and a binary
	// that has it keeps every exported method of every type in it, megabytes of
	// code that a node's agent would hold for ever.
	help := cmd.HelpFunc()
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		help(cmd, args)
		_, _ = fmt.Fprint(cmd.OutOrStdout(), "\n"+describe(Keys(defaults))) // as cobra prints what is above
	})
}

// describe is the part of the help that lists the keys.
func describe(keys []Key) string {
	var b strings.Builder
	b.WriteString("Configuration keys, from the weakest source to the strongest: these defaults, --config FILE,\n" +
		"the environment (idle.epsilon is GPUMETER_IDLE_EPSILON), --set KEY=VALUE:\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, k := range keys {
		value := k.Default
		if value == "" {
			value = "(none)"
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", k.Name, value, k.Type, k.Doc)
	}
	table.Flush()
	// The text goes into a template: braces of a doc are no actions.
	return strings.ReplaceAll(b.String(), "{{", "{ {")
}

// Main runs cmd until it ends or the process is told to stop: SIGINT and SIGTERM
// end its context, the second of them ends the process at once. It returns the
// exit code; an error is one line on stderr.
func Main(cmd *cobra.Command, args []string, stderr io.Writer) int {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer restore()
	stopped := context.AfterFunc(ctx, restore) // the next signal has its default effect
	defer stopped()
	cmd.SetArgs(args)
	cmd.SetErr(stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", cmd.Name(), err)
		return 1
	}
	return 0
}
