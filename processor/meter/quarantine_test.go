package meter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// What a victim, this test binary run again, finds in its environment.
const (
	victimBrokers = "GPUMETER_TEST_VICTIM_BROKERS"
	victimDir     = "GPUMETER_TEST_VICTIM_DIR"
	victimOf      = "GPUMETER_TEST_VICTIM_OF"
)

// What a victim dies of.
const (
	ofReading = "reading" // of beginning to read the record with the killer's key
	ofPanic   = "panic"   // of a panic in the engine that is given it
	ofAdvance = "advance" // of what the engine makes of it when it advances
)

const killer = "killer"

// victim runs a meter until it is told to stop, or dies.
func victim(brokers string) int {
	opts, err := broker.Config{Brokers: strings.Split(brokers, ",")}.Options("victim")
	if err != nil {
		return 3
	}
	of := os.Getenv(victimOf)
	// Of the predecessor the group does not wait for more than this.
	cfg := configOf(opts, "victim", kgo.SessionTimeout(time.Second))
	cfg.Quarantine = os.Getenv(victimDir)
	cfg.NewEngine = func(ec engine.Config) (Engine, error) {
		e, err := newLedger(ec)
		return &mortal{Engine: e, of: of}, err
	}
	m, err := New(cfg)
	if err != nil {
		return 3
	}
	if of == ofReading {
		m.before = func(rec *kgo.Record) {
			if string(rec.Key) == killer {
				kill()
			}
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := m.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func kill() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may take a moment
}

// A mortal engine dies of what names the killer.
type mortal struct {
	Engine
	of     string
	doomed bool
}

func (m *mortal) meet(name string) {
	if !strings.Contains(name, killer) {
		return
	}
	if m.of == ofPanic {
		panic("the engine has met " + name)
	}
	m.doomed = m.of == ofAdvance
}

func (m *mortal) AddSamples(b *schemas.Samples) {
	m.meet(b.Series[0].GPU)
	m.Engine.AddSamples(b)
}

func (m *mortal) AddAllocation(a *schemas.Allocation) {
	m.meet(a.Allocation)
	m.Engine.AddAllocation(a)
}

func (m *mortal) Advance(horizon int64, final bool, out engine.Output) {
	if m.doomed {
		kill()
	}
	m.Engine.Advance(horizon, final, out)
}

// launch runs a victim.
func launch(t *testing.T, c *cluster, dir, of string) (cmd *exec.Cmd, died chan error) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimBrokers+"="+strings.Join(c.fake.ListenAddrs(), ","), victimDir+"="+dir, victimOf+"="+of)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	died = make(chan error, 1)
	go func() { died <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			t.Logf("the victim said:\n%s", said.String())
		}
	})
	return cmd, died
}

// A record that kills the process, by whatever way, is passed over after it has
// done so twice, after three times if it kills in the work on a whole turn; it
// is a dead letter with its place, and all that stands beside it counts.
func TestRecordThatKillsIsQuarantined(t *testing.T) {
	for _, of := range []string{ofReading, ofPanic, ofAdvance} {
		for _, stream := range []string{
			schemas.StreamSamples, schemas.StreamProcesses, schemas.StreamAllocations, schemas.StreamResources, schemas.StreamPrices, schemas.StreamTags,
		} {
			engines := stream == schemas.StreamSamples || stream == schemas.StreamAllocations
			if of != ofReading && !engines {
				continue
			}
			t.Run(of+"/"+stream, func(t *testing.T) {
				t.Parallel()
				quarantined(t, of, stream)
			})
		}
	}
}

func quarantined(t *testing.T, of, stream string) {
	c, s := newCluster(t), newStory(40, 3)
	m := start(t, c.config("before"))
	c.publish(&s.chapters[0])
	c.finish(s.horizon - 60_000)
	m.stop()
	c.publish(&s.chapters[1])
	place := placeOf(c.put(killing(stream)))
	c.publish(&s.chapters[2])
	tick := rows(c, schemas.Tick{Horizon: s.horizon, Final: true})
	dir, deaths := t.TempDir(), 0
	for alive := false; !alive; {
		cmd, died := launch(t, c, dir, of)
		deadline := time.After(time.Minute)
		for !alive && deadline != nil {
			select {
			case err := <-died:
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() == 1 || exit.ExitCode() == 3 {
					t.Fatalf("the victim ended without dying: %v", err)
				}
				deaths++
				deadline = nil
			case <-time.After(20 * time.Millisecond):
				alive = c.applied(tick)
			case <-deadline:
				t.Fatal("the victim neither dies nor gets on")
			}
		}
		if deaths > 4 {
			t.Fatal("it dies for ever")
		}
		if alive {
			if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), <-died); err != nil {
				t.Errorf("stop: %v", err)
			}
		}
	}
	want := 2
	if of == ofAdvance {
		want = 3
	}
	if deaths != want {
		t.Errorf("died %d times, want %d", deaths, want)
	}
	c.check(s)
	told := 0
	for _, l := range c.letters() {
		if l.Reason == schemas.ReasonQuarantined {
			if told++; l.Place != place || l.Stream != stream {
				t.Errorf("letter %+v, want %s of %s", l, place, stream)
			}
		}
	}
	if told != 1 {
		t.Errorf("%d letters of quarantine", told)
	}
	// Another host, without the note, passes it over too: it would count otherwise.
	start(t, c.config("heir", kgo.SessionTimeout(time.Second)))
	c.finish(s.horizon)
	c.check(s)
}

// killing is a record that a mortal engine dies of, and that counts otherwise.
func killing(stream string) (rec *kgo.Record, err error) {
	switch stream {
	case schemas.StreamSamples:
		var e wire.SampleEncoder
		// A node of the partition that the record's key goes to.
		rec, err = e.Encode(samplesAt(killer, killer, t0+5000))
	case schemas.StreamProcesses:
		rec, err = wire.Encode(killer, []schemas.Process{{TS: t0, Node: killer}})
	case schemas.StreamAllocations:
		rec, err = wire.Encode(killer, []schemas.Allocation{{TS: t0, Event: schemas.EventStart, Allocation: killer, ReqGPUs: -1, ReqWalltime: -1}})
	case schemas.StreamResources:
		rec, err = wire.Encode(killer, []schemas.Resource{{Node: killer, Resource: killer, From: t0}})
	case schemas.StreamPrices:
		rec, err = wire.Encode(killer, []schemas.Price{{Provider: killer, Currency: "USD", From: t0}})
	case schemas.StreamTags:
		rec, err = wire.Encode(killer, []schemas.Tag{{Match: killer + "=*", Set: "a=b", From: t0}})
	}
	return rec, err
}
