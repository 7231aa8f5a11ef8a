package storage

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/sink"
)

// What a victim, this test binary run again, finds in its environment.
const (
	victimBrokers = "GPUMETER_TEST_VICTIM_BROKERS"
	victimServer  = "GPUMETER_TEST_VICTIM_SERVER"
	victimDir     = "GPUMETER_TEST_VICTIM_DIR"
)

// victim runs a sink until it is told to stop, or dies of reading the record
// with the killer's key.
func victim(brokers string) int {
	cfg := sink.DefaultConfig()
	cfg.Broker.Brokers, cfg.ClickHouse = strings.Split(brokers, ","), os.Getenv(victimServer)
	cfg.Quarantine, cfg.Flush.Every = os.Getenv(victimDir), 50*time.Millisecond
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	err := sink.Run(ctx, cfg, sink.Env{Log: log, Meter: noop.Meter{}, Before: func(rec *kgo.Record) {
		if string(rec.Key) == "killer" {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal may take a moment
		}
	}})
	if err != nil {
		log.Error("ended", "error", err)
		return 1
	}
	return 0
}

// A record that kills the sink is passed over by its third start, and told of;
// what stands beside it is stored.
func TestRecordThatKillsTheSinkIsQuarantined(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	killer := p.record(fact{gpu: "k", state: active, finality: final})
	killer.Key = []byte("killer")
	p.publish(kgo.TryCommit, p.record(fact{gpu: "g", state: active, finality: final}), killer, p.record(fact{gpu: "h", state: active, finality: final}),
		encode(p, schemas.Tag{Match: "user=u", Set: "team=x", From: origin}))
	dir := t.TempDir()
	launch := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), victimBrokers+"="+strings.Join(p.config.Brokers, ","), victimServer+"="+e.DSN(), victimDir+"="+dir)
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd
	}
	for n := range 2 {
		var exit *exec.ExitError
		if err := launch().Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("start %d was not killed: %v", n+1, err)
		}
	}
	third := launch()
	p.drain(sink.DefaultConfig().Group)
	if err := errors.Join(third.Process.Signal(syscall.SIGTERM), third.Wait()); err != nil {
		t.Errorf("the third start: %v", err)
	}
	e.want("gpu", "gpumeter.cost ORDER BY gpu", "g", "h")
	e.want("match", "gpumeter.tags", "user=u")
	e.want("stream, place, reason", "gpumeter.dead_letters", "cost|topic gpumeter.cost partition 0 offset 1|quarantined")
}
