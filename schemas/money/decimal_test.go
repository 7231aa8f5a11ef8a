package money_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas/money"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "16.80": 16_800_000_000, "-16.80": -16_800_000_000, "0.000000010": 10, "007": 7 * money.Nano,
		"0.0000000005": 1, "0.00000000049": 0, "-0.0000000005": 0, "-0.00000000051": -1, "1.9999999995": 2 * money.Nano,
		"9223372036.854775807": math.MaxInt64, "-9223372036.854775808": math.MinInt64,
	} {
		if got, err := money.Parse(s); err != nil || got != want {
			t.Errorf("Parse(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		"", "-", ".", ".5", "5.", "+1", "1e3", "1,5", " 1", "1 ", "0x1", "--1", "1.2.3", "１",
		"9223372036.854775808", "-9223372036.854775809", "9223372036.8547758075", "99999999999999999999999",
	} {
		if got, err := money.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %d, want an error", s, got)
		}
	}
}

func TestFormatAndParseAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nano := rapid.Int64().Draw(t, "nano")
		if got, err := money.Parse(money.Format(nano)); err != nil || got != nano {
			t.Fatalf("%d formats as %s, which parses as %d, %v", nano, money.Format(nano), got, err)
		}
	})
}

func TestFormat(t *testing.T) {
	for nano, want := range map[int64]string{
		0: "0.000000000", 1: "0.000000001", -1: "-0.000000001", 16_800_000_000: "16.800000000", math.MinInt64: "-9223372036.854775808",
	} {
		if got := money.Format(nano); got != want {
			t.Errorf("Format(%d) = %s, want %s", nano, got, want)
		}
	}
}
