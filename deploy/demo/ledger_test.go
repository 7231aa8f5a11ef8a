package demo

import (
	"testing"
	"time"
)

// Two GPUs for ninety seconds, at 3.60 an hour each; one is idle for a third of
// the time and the other has no price for the last half minute.
func TestSumOfTheNewestWindows(t *testing.T) {
	end := time.UnixMilli(1_780_275_690_000).UTC()
	now := []part{
		{state: "active", currency: "USD", ms: 120_000, cost: 120_000_000, until: end.Add(-time.Minute)},
		{state: "idle", currency: "USD", ms: 30_000, cost: 30_000_000, until: end},
		{state: "active", ms: 30_000, until: end},
	}
	all := []part{
		{state: "active", currency: "EUR", cost: 4_000_000},
		{state: "active", currency: "USD", cost: 5_000_000},
		{state: "idle", currency: "USD", cost: 1_500_000, waste: 1_500_000},
		{state: "unknown", cost: 0},
	}
	l := Ledger{GPUs: 2}
	l.sum(now, all)
	if l.Currency != "USD" || l.Others != 1 || l.Total != 6_500_000 || l.Wasted != 1_500_000 || !l.At.Equal(end) {
		t.Errorf("%+v", l)
	}
	active, idle := l.States[0], l.States[2]
	if active.GPUs < 1.66 || active.GPUs > 1.67 || active.PerHour != 4_800_000_000 || active.Cost != 5_000_000 {
		t.Errorf("active: %+v", active)
	}
	if idle.PerHour != 1_200_000_000 || idle.Cost != 1_500_000 {
		t.Errorf("idle: %+v", idle)
	}
}

func TestSumOfNothing(t *testing.T) {
	var l Ledger
	l.sum(nil, nil)
	if len(l.States) != len(states()) || l.Currency != "" || !l.At.IsZero() || l.Total != 0 {
		t.Errorf("%+v", l)
	}
}

// The product of money, time and GPUs does not fit 64 bits; its quotient does.
func TestPerHourOfAnExpensiveFleet(t *testing.T) {
	if got := perHour(3_000_000_000_000_000, 60_000*80_000, 80_000); got != 180_000_000_000_000_000 {
		t.Errorf("%d", got)
	}
}
