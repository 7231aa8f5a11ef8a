package money_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas/money"
)

// floor is the rule as it is written, with numbers of any size.
func floor(factors []int64, divisors ...int64) *big.Int {
	num, den := big.NewInt(1), big.NewInt(1)
	for _, f := range factors {
		num.Mul(num, big.NewInt(f))
	}
	for _, d := range divisors {
		den.Mul(den, big.NewInt(d))
	}
	q, rest := new(big.Int).QuoRem(num, den, new(big.Int))
	if rest.Sign() < 0 {
		q.Sub(q, big.NewInt(1))
	}
	return q
}

func rectangle(f func(x, t int64) *big.Int, x0, x1 uint32, t0, t1 int64) int64 {
	sum := f(int64(x1), t1)
	sum.Sub(sum, f(int64(x0), t1))
	sum.Sub(sum, f(int64(x1), t0))
	return sum.Add(sum, f(int64(x0), t0)).Int64()
}

// A corner is a rectangle of positions and time inside a resource and period.
func corner(t *rapid.T, gpus int, period int64) (x0, x1 uint32, t0, t1 int64) {
	x1 = uint32(rapid.Int64Range(0, int64(gpus)*money.Whole).Draw(t, "x1"))
	x0 = uint32(rapid.Int64Range(0, int64(x1)).Draw(t, "x0"))
	t1 = rapid.Int64Range(0, period).Draw(t, "t1")
	t0 = rapid.Int64Range(0, t1).Draw(t, "t0")
	return x0, x1, t0, t1
}

func TestCostIsTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-20, 20)).Draw(t, "amount")
		gpus := rapid.OneOf(rapid.IntRange(1, 16), rapid.IntRange(1, 4294)).Draw(t, "gpus")
		period := rapid.OneOf(rapid.Just(int64(money.Hour)), rapid.Int64Range(1, 1<<32)).Draw(t, "period")
		x0, x1, t0, t1 := corner(t, gpus, period)
		want := rectangle(func(x, at int64) *big.Int {
			return floor([]int64{amount, x, at}, money.Whole, int64(gpus), period)
		}, x0, x1, t0, t1)
		if got := money.NewRate(amount, gpus, period).Cost(x0, x1, t0, t1); got != want {
			t.Fatalf("cost %d, want %d", got, want)
		}
	})
}

func TestMillisIsTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x0, x1, t0, t1 := corner(t, 4294, 1<<32)
		want := rectangle(func(x, at int64) *big.Int { return floor([]int64{x, at}, money.Whole) }, x0, x1, t0, t1)
		if got := money.Millis(x0, x1, t0, t1); got != want {
			t.Fatalf("millis %d, want %d", got, want)
		}
	})
}

func TestPartFloorsBelowZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64().Draw(t, "v")
		ppm := uint32(rapid.IntRange(0, money.Whole).Draw(t, "ppm"))
		want := floor([]int64{v, int64(ppm)}, money.Whole).Int64()
		if got := money.Part(v, ppm); got != want {
			t.Fatalf("part %d, want %d", got, want)
		}
	})
	if got := money.Part(-1, 1); got != -1 {
		t.Fatalf("floor(-1/10^6) = %d, want -1", got)
	}
}

// However a resource's hour is cut, the parts are the whole.
func TestPartsAddUpToTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64().Draw(t, "amount")
		gpus := rapid.IntRange(1, 8).Draw(t, "gpus")
		r := money.NewRate(amount, gpus, money.Hour)
		cuts := rapid.SliceOfN(rapid.Int64Range(0, money.Hour), 0, 6).Draw(t, "times")
		bounds := rapid.SliceOfN(rapid.Int64Range(0, int64(gpus)*money.Whole), 0, 6).Draw(t, "positions")
		var sum, ms int64
		xs, ts := ascending(bounds, int64(gpus)*money.Whole), ascending(cuts, money.Hour)
		for i := range len(xs) - 1 {
			for j := range len(ts) - 1 {
				sum += r.Cost(uint32(xs[i]), uint32(xs[i+1]), ts[j], ts[j+1])
				ms += money.Millis(uint32(xs[i]), uint32(xs[i+1]), ts[j], ts[j+1])
			}
		}
		if sum != amount || ms != int64(gpus)*money.Hour {
			t.Fatalf("parts add up to %d nano and %d ms, want %d and %d", sum, ms, amount, int64(gpus)*money.Hour)
		}
	})
}

func ascending(inner []int64, end int64) []int64 {
	all := append([]int64{0, end}, inner...)
	for i := range all {
		for j := i; j > 0 && all[j] < all[j-1]; j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
	return all
}

func TestOutsideTheBoundsNothingIsPaid(t *testing.T) {
	for _, r := range []money.Rate{
		money.NewRate(math.MaxInt64, 0, money.Hour), money.NewRate(math.MaxInt64, 4295, money.Hour),
		money.NewRate(math.MaxInt64, 1, 0), money.NewRate(math.MaxInt64, 1, 1<<32+1),
	} {
		if got := r.Cost(0, money.Whole, 0, money.Hour); got != 0 {
			t.Errorf("%+v costs %d, want 0", r, got)
		}
	}
}

func TestCostAllocatesNothing(t *testing.T) {
	r := money.NewRate(-16_800_000_000, 8, money.Hour)
	if n := testing.AllocsPerRun(100, func() { _ = r.Cost(1_000_000, 1_333_333, 60_000, 120_000) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkCost(b *testing.B) {
	r := money.NewRate(16_800_000_000, 8, money.Hour)
	for b.Loop() {
		_ = r.Cost(1_000_000, 2_000_000, 60_000, 120_000)
	}
}
