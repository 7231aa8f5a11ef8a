package notify

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

func testAlert(n int) schemas.Finding {
	return schemas.Finding{
		Finding: fmt.Sprintf("idle/%d", n), Revision: 1, Status: schemas.StatusOpen, Severity: schemas.SeverityAlert,
		BurntCost: int64(n), Currency: "USD",
	}
}

// post does what the runner does with a message that arrives.
func post(b *book, j *job, now time.Time, ref Ref) {
	notices := j.notices(schemas.NoticePosted, ref)
	for i, e := range j.entries {
		b.told(e, &notices[i], now)
	}
	if !j.edit {
		b.count(j, now)
	}
	b.job = nil
}

// Alerts come whenever they like. One that comes when there is room is told in
// the same turn; never are there more messages than single ones and one digest in
// any storm.within; nothing waits longer than that; the most expensive is first.
func TestStormsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := DefaultConfig()
		cfg.Storm.Alerts = rapid.IntRange(0, 6).Draw(t, "alerts")
		b := newBook(cfg)
		b.take(0, 0, 0, false)
		now := time.UnixMilli(1_780_000_000_000)
		came, sent := map[string]time.Time{}, []time.Time{}
		next := now
		left := rapid.IntRange(1, 60).Draw(t, "left")
		for left > 0 || len(came) > 0 {
			for left > 0 && !now.Before(next) {
				f := testAlert(left)
				b.read(0, int64(1000-left), &f, now, now)
				came[f.Finding] = now
				left--
				next = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 500, 20_000}).Draw(t, "gap")) * time.Millisecond)
			}
			room := b.cfg.Storm.Alerts - countSince(sent, now.Add(-cfg.Storm.Within))
			j, wake := b.plan(now)
			if j == nil {
				if len(came) > 0 && room > 0 {
					t.Fatalf("%d wait, and there is room for %d", len(came), room)
				}
				now = earlier(earlier(wake, nextOf(left, next)), now.Add(time.Hour))
				continue
			}
			for i, e := range j.entries {
				if i > 0 && e.finding.BurntCost > j.entries[i-1].finding.BurntCost {
					t.Fatal("a digest is not by money")
				}
				if waited := now.Sub(came[e.finding.Finding]); waited > cfg.Storm.Within+cfg.Storm.Gather {
					t.Fatalf("%s waited %v", e.finding.Finding, waited)
				}
				delete(came, e.finding.Finding)
			}
			post(b, j, now, Ref{})
			sent = append(sent, now)
			if n := countSince(sent, now.Add(-cfg.Storm.Within)); n > cfg.Storm.Alerts+1 {
				t.Fatalf("%d messages within %v", n, cfg.Storm.Within)
			}
		}
	})
}

func nextOf(left int, next time.Time) time.Time {
	if left == 0 {
		return time.Time{}
	}
	return next
}

func countSince(all []time.Time, after time.Time) int {
	n := 0
	for _, at := range all {
		if at.After(after) {
			n++
		}
	}
	return n
}

func TestNothingIsSaidBeforeThePastIsKnown(t *testing.T) {
	b := newBook(DefaultConfig())
	b.take(0, 0, 2, false)
	b.take(1, 0, 0, false)
	now := time.UnixMilli(1_780_000_000_000)
	f := testAlert(1)
	b.read(0, 0, &f, now, now)
	b.at(0, 1)
	if j, _ := b.plan(now); j != nil {
		t.Error("told before the partition was read to its end")
	}
	f.Revision, f.Status = 2, schemas.StatusResolved
	b.read(0, 1, &f, now, now)
	b.at(0, 2)
	if j, _ := b.plan(now); j == nil || j.message().Findings[0].Status != schemas.StatusResolved {
		t.Error("not told as what it is by then")
	}
}

func TestPartitionThatMovesTakesItsPartOfADigestAlong(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Storm.Alerts = 0
	b := newBook(cfg)
	now := time.UnixMilli(1_780_000_000_000)
	for p := range int32(2) {
		b.take(p, 0, 0, false)
		f := testAlert(int(p))
		b.read(p, 0, &f, now, now)
	}
	j, _ := b.plan(now.Add(time.Minute))
	if j == nil || len(j.entries) != 2 {
		t.Fatalf("the job is %+v", j)
	}
	b.drop(0)
	if b.job == nil || len(b.job.entries) != 1 || b.job.entries[0].part != 1 {
		t.Fatalf("the job is %+v", b.job)
	}
	b.drop(1)
	if j, _ := b.plan(now); j != nil {
		t.Errorf("told of a partition that is another's: %+v", j)
	}
}

func TestMoneyOrdersAlerts(t *testing.T) {
	of := func(currency string, burnt, perHour int64, id string) schemas.Finding {
		return schemas.Finding{Currency: currency, BurntCost: burnt, CostPerHour: perHour, Finding: id}
	}
	order := []schemas.Finding{
		of("EUR", 1, 0, "a"), of("USD", 9, 1, "z"), of("USD", 8, 5, "y"), of("USD", 8, 4, "b"), of("USD", 8, 4, "c"), of("", 99, 99, "a"),
	}
	for i := range order {
		for k := range order {
			if got, want := byMoney(&order[i], &order[k]), i-k; got > 0 != (want > 0) || got < 0 != (want < 0) {
				t.Errorf("%v and %v: %d", order[i], order[k], got)
			}
		}
	}
}

func TestConfigIsRefusedWithItsReason(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"notify.group: empty":     func(c *Config) { c.Group = "" },
		"notify.update_every: -1": func(c *Config) { c.UpdateEvery = -1 },
		"storm.alerts: -1":        func(c *Config) { c.Storm.Alerts = -1 },
		"storm.within: 0s":        func(c *Config) { c.Storm.Within, c.Storm.Gather = 0, 0 },
		"storm.gather: 2m0s":      func(c *Config) { c.Storm.Gather = 2 * time.Minute },
	} {
		c := DefaultConfig()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestLogsOfAKindAreFew(t *testing.T) {
	q, now := newQuiet(time.Minute), time.UnixMilli(0)
	said := 0
	for range 100 {
		if _, yes := q.speak("timeout", now); yes {
			said++
		}
		now = now.Add(time.Second)
	}
	held, _ := q.speak("timeout", now.Add(time.Minute))
	if _, yes := q.speak("other", now); said != 2 || held != 39 || !yes {
		t.Errorf("said %d, held %d", said, held)
	}
}

func TestAnyErrorIsAFailure(t *testing.T) {
	if f := failure(errors.New("x")); f.Kind != Passing || !f.Unsure || f.Error() != "other: x" {
		t.Errorf("%+v", f)
	}
	want := &Failure{Kind: Blocking, Reason: "invalid_auth"}
	if f := failure(fmt.Errorf("wrapped: %w", want)); f != want || f.Error() != "invalid_auth" {
		t.Errorf("%+v", f)
	}
}
