package collector_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/schemas"
)

// A following is a collector that follows a directory.
type following struct {
	t     *testing.T
	stats func() publish.Stats
	stop  context.CancelFunc
	done  chan error
	final publish.Stats
}

func follow(t *testing.T, cfg collector.Config) *following {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	f := &following{t: t, stop: stop, done: make(chan error, 1)}
	cfg.Source.Files.Follow = true
	cfg.Batch.Wait = 20 * time.Millisecond
	ready := make(chan func() publish.Stats, 1)
	env := environment()
	env.Ready = func(stats func() publish.Stats) { ready <- stats }
	go func() {
		var err error
		f.final, err = collector.Run(ctx, cfg, env)
		f.done <- err
	}()
	select {
	case f.stats = <-ready:
	case err := <-f.done:
		t.Fatal(err)
	}
	return f
}

// await waits until the brokers have n rows of the stream.
func (f *following) await(stream string, n int64) {
	f.t.Helper()
	deadline := time.After(20 * time.Second)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for f.stats().Streams[stream].Acknowledged < n {
		select {
		case <-look.C:
		case <-deadline:
			f.t.Fatalf("%+v, want %d rows of %s", f.stats(), n, stream)
		}
	}
}

// end stops the collector, which must take that well.
func (f *following) end() publish.Stats {
	f.t.Helper()
	f.stop()
	if err := <-f.done; err != nil {
		f.t.Fatal(err)
	}
	return f.final
}

func line(i int) string {
	return fmt.Sprintf(`{"ts":%d,"node":"n1","gpu":"g0"}`, at+i) + "\n"
}

// times lists the event times that are in Kafka.
func times(t *testing.T, k kafka) []int64 {
	t.Helper()
	var got []int64
	for _, batch := range k.samples(t) {
		for _, s := range batch {
			got = append(got, s.TS-at)
		}
	}
	return got
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFollowReadsWhatIsAppended(t *testing.T) {
	k, dir := newKafka(t), t.TempDir()
	path := filepath.Join(dir, "samples.ndjson")
	f := follow(t, config(k, dir)) // no file yet
	appendTo(t, path, line(0)+line(1))
	f.await("samples", 2)
	half := line(2)
	appendTo(t, path, half[:10])
	appendTo(t, filepath.Join(dir, "prices.csv"), pricesFile)
	f.await("prices", 2)
	appendTo(t, path, half[10:]+line(3)[:9])
	f.await("samples", 3)
	stats := f.end()
	if got := fmt.Sprint(times(t, k)); got != "[0 1 2]" {
		t.Errorf("got %s", got)
	}
	if len(stats.DeadLetters) != 0 {
		t.Errorf("a line that was not ended yet is a dead letter: %v", stats.DeadLetters)
	}
}

func TestFollowSeesRotation(t *testing.T) {
	k, dir := newKafka(t), t.TempDir()
	path := filepath.Join(dir, "samples.ndjson")
	put(t, path, line(0))
	f := follow(t, config(k, dir))
	f.await("samples", 1)

	// By rename: the writer goes on in the old file until the new one is there.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path+".1", line(1))
	f.await("samples", 2)
	appendTo(t, path+".1", line(2))
	put(t, path, line(3)+line(4))
	f.await("samples", 5)

	// By cutting: the file begins anew.
	put(t, path, line(5))
	f.await("samples", 6)
	f.end()
	if got := fmt.Sprint(times(t, k)); got != "[0 1 2 3 4 5]" {
		t.Errorf("got %s", got)
	}
}

func TestFollowTellsOfALineCutByRotation(t *testing.T) {
	k, dir := newKafka(t), t.TempDir()
	path := filepath.Join(dir, "samples.ndjson")
	put(t, path, line(0)+line(1)[:20])
	f := follow(t, config(k, dir))
	f.await("samples", 1)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	put(t, path, line(2))
	f.await("samples", 2)
	f.end()
	letters := rows[schemas.DeadLetter](t, k, schemas.StreamDeadLetters)
	if len(letters) != 1 || letters[0].Place != "samples.ndjson:2" || letters[0].Reason != schemas.ReasonTruncated {
		t.Errorf("letters %+v, want that line 2 is truncated", letters)
	}
}

// TestStopLosesNothing stops a collector while its file grows. What it says it
// read is what Kafka has, the beginning of the file without a gap.
func TestStopLosesNothing(t *testing.T) {
	for round := range 5 {
		k, dir := newKafka(t), t.TempDir()
		path := filepath.Join(dir, "samples.ndjson")
		put(t, path, "")
		f := follow(t, config(k, dir))
		stopWriter, written := make(chan struct{}), make(chan int)
		go func() {
			i := 0
			defer func() { written <- i }()
			for {
				select {
				case <-stopWriter:
					return
				default:
					var chunk strings.Builder
					for range 50 {
						chunk.WriteString(line(i))
						i++
					}
					appendTo(t, path, chunk.String())
				}
			}
		}()
		f.await("samples", int64(1+100*round))
		stats := f.end().Streams["samples"]
		close(stopWriter)
		wrote := <-written
		got := times(t, k)
		if int64(len(got)) != stats.Rows || stats.Acknowledged != stats.Rows || len(got) > wrote {
			t.Fatalf("%d rows in Kafka, stats %+v, %d written", len(got), stats, wrote)
		}
		seen := make([]bool, len(got))
		for _, ts := range got {
			if ts >= int64(len(seen)) || seen[ts] {
				t.Fatalf("sample %d is beyond a gap or doubled", ts)
			}
			seen[ts] = true
		}
	}
}
