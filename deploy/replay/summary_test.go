package replay

import (
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/schemas"
)

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 24819552: "24,819,552", -1: "-1", -123: "-123", -1234: "-1,234", -123456: "-123,456"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for ms, want := range map[int64]string{0: "0", 1: "0.001", 1500: "1.5", 7831326000: "7,831,326", -1: "-0.001", -61500: "-61.5"} {
		if got := seconds(ms); got != want {
			t.Errorf("%d: %q, want %q", ms, got, want)
		}
	}
}

func TestSummaryForAPerson(t *testing.T) {
	usd := func(ms int64, cost string) Money { return Money{GPUMs: ms, ListCost: map[string]string{"USD": cost}} }
	s := Summary{
		Data: "DATA", Horizon: 1675810800000, Seconds: 2.5,
		Stages: []Stage{newStage("collector", 1_000_000, 2*time.Second), newStage("sink", 0, 0)},
		Totals: Totals{
			States:      map[string]Money{"active": usd(3_600_000, "0.500000001"), "unknown": {GPUMs: 1500, UnpricedMs: 1500}},
			Allocations: usd(3_600_000, "0.500000001"), All: usd(3_601_500, "0.500000001"),
		},
		DeadLetters: map[string]int64{schemas.ReasonBadShare: 2},
		Ignored:     ignored(map[publish.Field]int64{{Stream: "samples", Name: "fan"}: 1234}),
		PeakMemory:  900 << 20,
	}
	var out strings.Builder
	if err := s.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"2.5 s up to 2023-02-07T23:00:00Z", "collector", "1,000,000", "500,000", "active", "3,600", "0.500000001 USD",
		"1.5 GPU-s unpriced", "3,601.5", "bad_share", `"fan"`, "1,234 times", "900 MB", "gpumeter query --data DATA",
	} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("does not say %q:\n%s", part, &out)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

var errFull = errorString("full")

type errorString string

func (e errorString) Error() string { return string(e) }

func TestSummaryThatCannotBeWritten(t *testing.T) {
	if err := (&Summary{}).Print(full{}); err != errFull { //nolint:errorlint // as it was
		t.Errorf("%v", err)
	}
}
