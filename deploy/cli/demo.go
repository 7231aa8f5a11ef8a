package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/demo"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// demoConfig is everything that gpumeter demo can be told.
type demoConfig struct {
	Log  service.Log `koanf:"log"`
	Demo demo.Config `koanf:",squash"`
}

// Validate gives everything that is wrong, with the reasons.
func (c demoConfig) Validate() error { return c.Demo.Validate() }

func demoCommand() *cobra.Command {
	var o options
	defaults := demoConfig{Log: defaultLog(), Demo: demo.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "show a fleet's money live, with everything in this process",
		Long: `demo runs a source through collector, Kafka, processor, Kafka, sink and ClickHouse,
all in this process, and shows what ClickHouse answers: GPUs by state, money per
hour, who is idle by money, findings, and the Slack messages that they cause.

The source is DIR where --input names one; else the GPUs of this node where NVIDIA's
driver is loaded and neither --gpus nor a --speed above 1 is given; else a synthetic
fleet drawn from --seed. At --speed 1 it is live; faster, it begins in the past. Ctrl-C stops the source,
lets everything arrive, and recomputes the ledger another way: exit code 0 means
that nothing is broken.`,
		Example: `  gpumeter demo
  gpumeter demo --for 60s --speed 60 --seed 7
  gpumeter demo --speed 1 --gpus 512 --data ledger
  gpumeter demo --input events --speed 600`,
		Args: cobra.NoArgs,
	}
	o.flag(cmd, "input", "input", "`DIR` of events to play")
	o.flag(cmd, "speed", "speed", "event time per time, a `NUMBER` from 1 on; 60 unless this node is shown")
	o.flag(cmd, "for", "for", "`TIME` to go on, as in 60s; without it until Ctrl-C")
	o.flag(cmd, "gpus", "gpus", "`NUMBER` of GPUs of the synthetic fleet, in nodes of 8 (default 64)")
	o.flag(cmd, "seed", "seed", "`NUMBER` that the fleet is drawn from (default 1)")
	o.flag(cmd, "data", "data", "`DIR` for the ledger, which stays; without it a temporary one, removed at the end")
	o.flag(cmd, "slack-webhook-file", "slack.webhook_file", "`FILE` with the URL of a Slack webhook; without it messages are shown as they would be sent")
	o.keys(cmd, defaults)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg := defaults
		if err := service.Load(&cfg, o.sources("")); err != nil {
			return err
		}
		if cfg.Demo.Input != "" {
			if err := directory(cfg.Demo.Input); err != nil {
				return err
			}
		}
		return runDemo(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// runDemo shows the demo on out, as it can.
func runDemo(ctx context.Context, cfg demoConfig, out, errs io.Writer) (err error) {
	env := demo.Env{Now: time.Now, View: demo.NewLines(out), Program: os.Args[0]}
	logs := &held{to: errs}
	env.Log = cfg.Log.Logger(logs)
	summary, err := func() (_ *demo.Summary, err error) {
		defer func() { err = errors.Join(err, logs.release()) }()
		if file, ok := out.(*os.File); ok {
			if screen := demo.Terminal(file); screen != nil {
				env.View = screen
				logs.hold()
				defer func() { err = errors.Join(err, screen.Close()) }()
			}
		}
		return demo.Run(ctx, cfg.Demo, env)
	}()
	if err != nil {
		return err
	}
	if err := summary.Print(out); err != nil {
		return err
	}
	if !summary.OK() {
		return ErrBroken
	}
	return nil
}

// held are logs that wait while the screen belongs to the demo.
type held struct {
	to io.Writer

	mu      sync.Mutex
	holding bool
	text    strings.Builder
}

func (h *held) hold() { h.holding = true }

// Write holds b, or passes it on.
func (h *held) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holding {
		return h.text.Write(b)
	}
	return h.to.Write(b)
}

// release writes what was held.
func (h *held) release() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding = false
	_, err := io.WriteString(h.to, h.text.String())
	h.text.Reset()
	return err
}
