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
	victimState   = "GPUMETER_TEST_VICTIM_STATE"
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
		if cfg.StateDir != "" {
			e, err = engine.New(ec)
		}
		return &mortal{Engine: e, of: of}, err
	}
	if cfg.StateDir = os.Getenv(victimState); cfg.StateDir != "" {
		cfg.Engine = rules()
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
func launch(t *testing.T, c *cluster, dir, state, of string) (cmd *exec.Cmd, died chan error) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimBrokers+"="+strings.Join(c.fake.ListenAddrs(), ","), victimDir+"="+dir, victimState+"="+state, victimOf+"="+of)
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
	deaths := c.outlive(t, "", of, tick)
	want := 2
	if of == ofAdvance {
		want = 3
	}
	if deaths != want {
		t.Errorf("died %d times, want %d", deaths, want)
	}
	c.check(s)
	c.toldOf(place, stream)
	// Another host, without the note, passes it over too: it would count otherwise.
	start(t, c.config("heir", kgo.SessionTimeout(time.Second)))
	c.finish(s.horizon)
	c.check(s)
}

// toldOf checks that one record has a letter of quarantine, and no other.
func (c *cluster) toldOf(place, stream string) {
	c.t.Helper()
	told := 0
	for _, l := range c.letters() {
		if l.Reason == schemas.ReasonQuarantined {
			if told++; l.Place != place || l.Stream != stream {
				c.t.Errorf("letter %+v, want %s of %s", l, place, stream)
			}
		}
	}
	if told != 1 {
		c.t.Errorf("%d letters of quarantine", told)
	}
}

// outlive starts victims until one comes past a tick, and counts the deaths of the
// others. state is their state.dir, "" = none.
func (c *cluster) outlive(t *testing.T, state, of string, tick *kgo.Record) (deaths int) {
	t.Helper()
	dir := t.TempDir()
	for alive := false; !alive; {
		cmd, died := launch(t, c, dir, state, of)
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
	return deaths
}

// The same with archives: what killed is in none, those of the time before are of use
// to who passes it over, and those of that time to the next owner.
func TestQuarantineWithArchives(t *testing.T) {
	for _, of := range []string{ofReading, ofAdvance} {
		for _, stream := range []string{schemas.StreamSamples, schemas.StreamAllocations} {
			t.Run(of+"/"+stream, func(t *testing.T) {
				t.Parallel()
				quarantinedWithArchives(t, of, stream)
			})
		}
	}
}

func quarantinedWithArchives(t *testing.T, of, stream string) {
	c, chapters, state := newCluster(t), fleet(), t.TempDir()
	cfg, _ := c.archived("before", state)
	m := start(t, cfg)
	c.publish(&chapters[0])
	c.finish(fleetEnd - 240_000)
	m.stop()
	rec, err := killing(stream)
	if stream == schemas.StreamAllocations { // an end without start is told of where it counts
		rec, err = wire.Encode(killer, []schemas.Allocation{{TS: t0, Event: schemas.EventEnd, Allocation: killer, ReqGPUs: -1, ReqWalltime: -1}})
	}
	place := placeOf(c.put(rec, err))
	c.publish(&chapters[1])
	c.outlive(t, state, of, rows(c, schemas.Tick{Horizon: fleetEnd, Final: true}))
	c.checkFacts(chapters)
	cfg, said := c.archived("heir", state, kgo.SessionTimeout(time.Second))
	start(t, cfg)
	c.finish(fleetEnd)
	c.checkFacts(chapters)
	if len(said.all) > 0 {
		t.Errorf("rebuilt: %v", said.all)
	}
	c.toldOf(place, stream)
	for _, l := range c.letters() {
		if l.Reason != schemas.ReasonQuarantined && strings.Contains(l.Place, killer) {
			t.Errorf("it counts: %+v", l)
		}
	}
}

// A member that survives what kills another one has it in its archives. Once it is
// passed over they are of no use.
func TestArchivesOfASurvivor(t *testing.T) {
	t.Parallel()
	c, chapters, state := newCluster(t), fleet(), t.TempDir()
	run := func(horizon int64, then func()) *reasons {
		cfg, said := c.archived("a", state)
		m := start(t, cfg)
		then()
		c.finish(horizon)
		m.stop()
		return said
	}
	var rec *kgo.Record
	run(fleetEnd-240_000, func() {
		c.publish(&chapters[0])
		rec = rows(c, schemas.Allocation{
			TS: fleetEnd - 100_000, Event: schemas.EventStart, Allocation: killer, HasGPUs: true, GPUs: []schemas.GPURef{{Node: "node-0", GPU: "g0"}},
			ReqGPUs: -1, ReqWalltime: -1,
		})
	})
	topics, err := c.adm.ListTopics(t.Context(), rec.Topic)
	must(t, err)
	rows(c, schemas.Quarantined{Group: defaultGroup, Topic: rec.Topic, TopicID: topics[rec.Topic].ID.String(), Partition: rec.Partition, Offset: rec.Offset})
	said := run(fleetEnd-180_000, func() {})
	if n := said.with("passed over"); n != testPartitions {
		t.Errorf("%d archives were rebuilt (%v), want %d", n, said.all, testPartitions)
	}
	if said := run(fleetEnd, func() { c.publish(&chapters[1]) }); len(said.all) > 0 {
		t.Errorf("rebuilt once more: %v", said.all)
	}
	c.checkFacts(chapters)
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
