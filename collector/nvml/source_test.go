package nvml

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpumeter/gpumeter/collector/owners"
	"github.com/gpumeter/gpumeter/schemas"
)

// during runs the source in a bubble's virtual time for that long, with fn
// beside it.
func during(t *testing.T, n *node, to *rows, d time.Duration, fn func()) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	done := make(chan error)
	go func() { done <- n.Run(ctx, to) }()
	fn()
	return <-done
}

func TestRoundsAreMultiplesOfTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // begin between two instants
		n, d, _ := newNode(t, testConfig(), nil, works("GPU-b"), works("GPU-a"))
		to := &rows{}
		if err := during(t, n, to, 10*time.Second, func() {}); err != nil {
			t.Fatal(err)
		}
		a, b := to.of("GPU-a"), to.of("GPU-b")
		if len(a) != 10 || !slices.Equal(a, b) {
			t.Fatalf("rounds of GPU-a at %v, of GPU-b at %v: want ten, the same", a, b)
		}
		for i, ts := range a {
			if ts%1000 != 0 || (i > 0 && ts != a[i-1]+1000) {
				t.Errorf("round %d is at %d", i, ts)
			}
		}
		if !d.closed.Load() {
			t.Error("the driver is not closed")
		}
	})
}

func TestResourceOfTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Region, cfg.SKU, cfg.Cluster, cfg.Scheduler, cfg.IdleWatts = "eu-1", "p5", "c1", true, 95.5
		n, _, _ := newNode(t, cfg, nil, works("GPU-b"), works("GPU-a"))
		to := &rows{}
		now := time.Now().UnixMilli()
		if err := during(t, n, to, time.Second, func() {}); err != nil {
			t.Fatal(err)
		}
		want := []schemas.Resource{{
			Node: "n1", Resource: "n1", Cluster: "c1", Provider: "acme", Region: "eu-1", SKU: "p5", Model: "H100",
			GPUs: []string{"GPU-a", "GPU-b"}, From: now, PricingCategory: "on_demand", Scheduler: true, IdleWatts: 95_500,
		}}
		if !reflect.DeepEqual(to.resources, want) {
			t.Errorf("got %+v, want %+v", to.resources, want)
		}
	})
}

func TestHangingGPUDoesNotHoldTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := works("GPU-b")
		answer := stuck.say
		stuck.say = func(p bool) ([]reading, error) {
			if stuck.calls.Load() == 3 { // the third round
				<-release
			}
			return answer(p)
		}
		n, d, l := newNode(t, testConfig(), nil, works("GPU-a"), stuck)
		to := &rows{}
		err := during(t, n, to, 10*time.Second+time.Millisecond, func() {
			time.Sleep(7*time.Second + 200*time.Millisecond)
			close(release)
		})
		if err != nil {
			t.Fatal(err)
		}
		a, b := to.of("GPU-a"), to.of("GPU-b")
		if len(a) != 10 {
			t.Errorf("the other GPU has %d of 10 rounds", len(a))
		}
		// The third call returned in the eighth second, too late for any round.
		if want := slices.Concat(a[:2], a[7:]); !slices.Equal(b, want) {
			t.Errorf("the GPU that hung is sampled at %v, want %v", b, want)
		}
		if stuck.most.Load() != 1 {
			t.Errorf("%d calls at one time on one GPU", stuck.most.Load())
		}
		if l.count("is not sampled") != 1 || l.count("sampled again") != 1 {
			t.Errorf("want one line at each change:\n%s", l.buf.String())
		}
		if !d.closed.Load() {
			t.Error("the driver is not closed")
		}
	})
}

func TestStopLeavesAHangingCallBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := works("GPU-b")
		stuck.say = func(bool) ([]reading, error) { <-release; return nil, nil }
		n, d, l := newNode(t, testConfig(), nil, works("GPU-a"), stuck)
		began := time.Now()
		if err := during(t, n, &rows{}, 3*time.Second, func() {}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 3*time.Second+stopWithin {
			t.Errorf("the stop took %v", took-3*time.Second)
		}
		if d.closed.Load() || l.count("hang in the driver") != 1 {
			t.Errorf("the library may not be shut down under a call, and that is said: closed %v\n%s", d.closed.Load(), l.buf.String())
		}
		close(release) // the test is to end; a process would not wait
	})
}

func TestLostGPUIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := works("GPU-b")
		gone.say = func(bool) ([]reading, error) { return nil, fmt.Errorf("%w: fell off the bus", errLost) }
		n, _, l := newNode(t, testConfig(), nil, works("GPU-a"), gone)
		to := &rows{}
		if err := during(t, n, to, 5*time.Minute+time.Millisecond, func() {}); err != nil {
			t.Fatal(err)
		}
		if len(to.of("GPU-a")) != 300 || len(to.of("GPU-b")) != 0 {
			t.Errorf("%d rounds of the good GPU, %d of the lost", len(to.of("GPU-a")), len(to.of("GPU-b")))
		}
		if l.count("GPU-b") != 1 || l.count("why=lost") != 1 {
			t.Errorf("a lost GPU is one line:\n%s", l.buf.String())
		}
	})
}

func TestFlappingGPUIsThrottled(t *testing.T) {
	l := &logs{}
	log := slog.New(slog.NewTextHandler(l, nil))
	var c condition
	for ts := int64(1000); ts <= 601_000; ts += 1000 { // ten minutes
		var err error
		if ts%2000 == 0 {
			err = errHung
		}
		c.is(log, "GPU-a", ts, err)
	}
	if n := l.count("\n"); n < 10 || n > 22 {
		t.Errorf("%d lines in ten minutes:\n%s", n, l.buf.String())
	}
	c = condition{}
	c.is(log, "GPU-b", 1000, errLost)
	c.is(log, "GPU-b", 2000, nil)
	c.is(log, "GPU-b", 3000, errLost) // stays
	for ts := int64(4000); ts <= 200_000; ts += 1000 {
		c.is(log, "GPU-b", ts, errLost)
	}
	if n := l.count("GPU-b"); n != 3 {
		t.Errorf("lost, back, lost for good: %d lines", n)
	}
}

func TestGPUThatSaysNothingHasNoSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := works("GPU-a")
		mute.say = func(bool) ([]reading, error) { return []reading{{memoryTotal: said(uint64(1))}}, nil }
		n, _, l := newNode(t, testConfig(), nil, mute)
		to := &rows{}
		if err := during(t, n, to, 3*time.Second, func() {}); err != nil {
			t.Fatal(err)
		}
		if len(to.samples) != 0 || l.count("why=failed") != 1 {
			t.Errorf("%d samples without a measurement\n%s", len(to.samples), l.buf.String())
		}
	})
}

func TestProcessesGoToTheOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		who := &told{owner: map[int]string{7: "slurm/1"}}
		n, _, _ := newNode(t, testConfig(), who, works("GPU-a", 7, 8), works("GPU-b", 7))
		to := &rows{}
		start := time.Now()
		if err := during(t, n, to, 11*time.Second+time.Millisecond, func() {}); err != nil {
			t.Fatal(err)
		}
		want := []owners.Held{{GPU: "GPU-a", PID: 7}, {GPU: "GPU-a", PID: 8}, {GPU: "GPU-b", PID: 7}}
		if len(who.held) != 3 || !slices.Equal(who.held[0], want) {
			t.Fatalf("told %v; want %v three times in eleven seconds", who.held, want)
		}
		if len(to.processes) != 9 {
			t.Fatalf("%d rows of processes, want 9", len(to.processes))
		}
		first := schemas.Process{
			TS: start.UnixMilli() + 1000, Node: "n1", GPU: "GPU-a", PID: 7, Allocation: "slurm/1",
			SMUtilization: schemas.Absent32, MemoryUsed: 1 << 30,
		}
		if to.processes[0] != first || to.processes[1].Allocation != "" {
			t.Errorf("got %+v, want %+v", to.processes[:2], first)
		}
	})
}

// A GPU that does not answer, or a list that does not come, ends no hold: the
// owners hear of its processes as they were.
func TestHoldsOutliveSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		round := 0
		gpu := &double{uuid: "GPU-a"}
		gpu.say = func(processes bool) ([]reading, error) {
			if !processes {
				return []reading{busy()}, nil
			}
			device, one, two := busy(), busy(), busy()
			one.slice, two.slice = "MIG-1", "MIG-2"
			one.share, two.share = shareOf(3, 7), shareOf(2, 7)
			device.processes = said(list())
			switch round++; round {
			case 1:
				one.processes, two.processes = said(list(1)), said(list(2))
			case 2:
				return nil, errLost
			case 3:
				one.processes = said(list(3)) // the list of MIG-2 does not come
			case 4:
				one.processes = said(list(3))
				return []reading{device, one}, nil // MIG-2 is destroyed
			}
			return []reading{device, one, two}, nil
		}
		who := &told{}
		n, _, _ := newNode(t, testConfig(), who, gpu)
		if err := during(t, n, &rows{}, 16*time.Second+time.Millisecond, func() {}); err != nil {
			t.Fatal(err)
		}
		held := func(slice string, share int32, pid int) owners.Held {
			return owners.Held{GPU: "GPU-a", Slice: slice, Share: share, PID: pid}
		}
		one, two := held("MIG-1", 428_572, 1), held("MIG-2", 285_715, 2)
		three := held("MIG-1", 428_572, 3)
		want := [][]owners.Held{{one, two}, {one, two}, {three, two}, {three}}
		if !reflect.DeepEqual(who.held, want) {
			t.Errorf("told %v, want %v", who.held, want)
		}
	})
}

func TestSinkThatFailsEndsTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, d, _ := newNode(t, testConfig(), nil, works("GPU-a"))
		broken := errors.New("no broker")
		if err := during(t, n, &rows{fail: broken}, time.Hour, func() {}); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if !d.closed.Load() {
			t.Error("the driver is not closed")
		}
	})
}

func TestInitialisationThatHangsCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, d, l := newNode(t, testConfig(), nil, works("GPU-a"))
		open, release := n.open, make(chan struct{})
		n.open = func(c Config, log *slog.Logger) (driver, error) { <-release; return open(c, log) }
		if err := during(t, n, &rows{}, time.Minute, func() {}); err != nil {
			t.Fatal(err)
		}
		if l.count("still initialises") != 1 {
			t.Errorf("it is not said:\n%s", l.buf.String())
		}
		close(release)
		synctest.Wait()
		if !d.closed.Load() {
			t.Error("a driver that came too late is not closed")
		}
	})
}

func TestFollowing(t *testing.T) {
	for _, c := range []struct {
		name                      string
		now, last, interval, want int64
	}{
		{"between two instants", 1234, 1000, 1000, 2000},
		{"at an instant", 2000, 2000, 1000, 3000},
		{"the timer fired early", 1999, 2000, 1000, 3000},
		{"a slow sink", 7500, 2000, 1000, 8000},
		{"the clock was set back", 500, 9000, 1000, 1000},
	} {
		if got := following(c.now, c.last, c.interval); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestValidateGivesReasons(t *testing.T) {
	if err := testConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"interval":         func(c *Config) { c.Interval = 100 * time.Millisecond },
		"whole millisec":   func(c *Config) { c.Interval += time.Microsecond },
		"timeout":          func(c *Config) { c.Timeout = c.Interval },
		"processes":        func(c *Config) { c.Processes = time.Hour },
		"provider":         func(c *Config) { c.Provider = "" },
		"pricing_category": func(c *Config) { c.PricingCategory = "free" },
		"idle_watts":       func(c *Config) { c.IdleWatts = -1 },
	} {
		cfg := testConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}
