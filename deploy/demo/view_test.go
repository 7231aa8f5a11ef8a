package demo

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"
)

var rewrite = flag.Bool("rewrite", false, "write today's frames into testdata")

// busy is a model with something in every part, names that fight the terminal
// among them.
func busy() *Model {
	at := func(clock string) time.Time {
		t, err := time.Parse("2006-01-02 15:04:05", "2026-06-01 "+clock)
		if err != nil {
			panic(err) // a slip in this file
		}
		return t
	}
	return &Model{
		Source: "a synthetic fleet of 64 GPUs, seed 7", Phase: "running", Elapsed: 31 * time.Second, For: time.Minute, Speed: 60,
		First: 4200 * time.Millisecond,
		Doors: []Door{{"ClickHouse", "http://default@127.0.0.1:8123"}, {"native", "clickhouse://default@127.0.0.1:9000"}, {"Kafka", "127.0.0.1:9092"}},
		Try:   []string{`gpumeter query --data DIR "SELECT 1"`},
		Health: Health{
			SamplesPerSecond: 384.4, Published: 1_234_567, Facts: 13_333, Lag: 30 * time.Second, DeadLetters: 2,
		},
		Ledger: Ledger{
			At: at("08:31:40"), GPUs: 64, Currency: "USD", Total: 1_401_220_000_000, Wasted: 172_104_999_999, Restated: 17,
			States: []State{
				{"active", 40.8, 143_204_000_000, 1_203_110_000_000},
				{"idle_held", 7.6, 24_110_000_000, 101_200_000_000},
				{"idle", 4.6, 17_090_000_000, 70_904_999_999},
				{"unallocated", 9, 30_000_000_000, 20_000_000_000},
				{"unavailable", 0, 0, 0},
				{"unknown", 2, 6_996_000_000, 6_005_000_000},
			},
			Idle: []Idle{
				{"fleet/aa01/17", "ann", "vision", "gpu-003", []string{"GPU-3", "GPU-4"}, "alert", at("08:02:11"), 12_104_000_000, 4_200_000_000, "USD"},
				{"slurm/\x1b[2Jjob", "日本語の名前", "", "gpu-001", []string{"GPU-0/1g.10gb"}, "notice", at("08:25:00"), 999_999_999, 1_512_345_678_000, "USD"},
			},
			Findings: []Finding{
				{"idle/a/1", "fleet/aa01/17", "ann", "vision", "alert", at("08:32:11"), 12_104_000_000, 4_200_000_000, "USD"},
				{"idle/b/1", "slurm/\x1b[2Jjob", "日本語の名前", "", "opened", at("08:30:00"), 999_999_999, 1_000_000_000, "USD"},
				{"idle/c/1", "fleet/aa01/9", "", "nlp", "resolved", at("08:12:00"), 0, 1_000_000_000, "USD"},
			},
		},
		Slack: []string{"12.10 USD burnt by ann's fleet/aa01/17, 4.20 an hour", "  since 08:02 on gpu-003"},
	}
}

// TestFrames holds frames to files. If a new one is right: go test ./deploy/demo -rewrite
func TestFrames(t *testing.T) {
	empty := &Model{Source: "files of events", Phase: "starting", Speed: 1}
	unpriced := busy()
	unpriced.Ledger.Currency, unpriced.Ledger.Total, unpriced.Ledger.Wasted = "", 0, 0
	unpriced.Slack, unpriced.Warning = nil, "sink: ClickHouse is away"
	for _, test := range []struct {
		name          string
		m             *Model
		width, height int
	}{
		{"busy-120x40", busy(), 120, 40},
		{"busy-80x24", busy(), 80, 24},
		{"busy-tiny", busy(), 20, 5},
		{"empty-100x30", empty, 100, 30},
		{"unpriced-100x30", unpriced, 100, 30},
	} {
		lines := frame(test.m, test.width, test.height, false)
		got := strings.Join(lines, "\n") + "\n"
		golden(t, test.name, got)
		if len(lines) > max(test.height, minHeight) {
			t.Errorf("%s: %d lines for a height of %d", test.name, len(lines), test.height)
		}
		for _, line := range lines {
			if w := displaywidth.String(line); w > max(test.width, minWidth) {
				t.Errorf("%s: %d columns wide: %s", test.name, w, line)
			}
		}
		if strings.Contains(got, "\x1b") {
			t.Errorf("%s: a name steers the terminal", test.name)
		}
		colored := strings.Join(frame(test.m, test.width, test.height, true), "\n") + "\n"
		if plain := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(colored, ""); plain != got {
			t.Errorf("%s: colours change the text:\n%s", test.name, plain)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

// TestLines shows what a pipe gets: everything new once, in order of time.
func TestLines(t *testing.T) {
	var out strings.Builder
	l := NewLines(&out)
	m := busy()
	m.First, m.Ledger.Findings, m.Slack = 0, nil, nil
	for range 3 {
		if err := l.Show(m); err != nil {
			t.Fatal(err)
		}
	}
	m = busy()
	m.Elapsed += 100 * time.Millisecond
	for range 3 {
		if err := l.Show(m); err != nil {
			t.Fatal(err)
		}
	}
	m.Elapsed += statusEvery
	m.Phase = "stopping"
	m.Warning = "it is late"
	if err := l.Show(m); err != nil {
		t.Fatal(err)
	}
	golden(t, "lines", out.String())
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestLinesThatCannotBeWritten(t *testing.T) {
	if err := NewLines(full{}).Show(busy()); err != os.ErrClosed { //nolint:errorlint // as it was
		t.Errorf("%v", err)
	}
}

func TestShortSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0s", 0: "0.0s", 1234 * time.Millisecond: "1.2s", 12 * time.Second: "0:12", 61 * time.Minute: "1:01:00", 59*time.Minute + 59*time.Second: "59:59",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestMoneyForPeople(t *testing.T) {
	for n, want := range map[Nano]string{
		0: "0.00", 4_999_999: "0.00", 5_000_000: "0.01", -5_000_000: "-0.01", 999_995_000_000: "1,000.00", 1_234_567_890_000_000: "1,234,567.89", 1_000_000_000: "1.00",
	} {
		if got := n.String(); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	if got := fmt.Sprintf("%6s", Nano(1_000_000_000)); got != "  1.00" {
		t.Errorf("%q", got)
	}
}
