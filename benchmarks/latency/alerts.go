package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/run"
	"github.com/gpumeter/gpumeter/sink/slack/slacktest"
)

// lastMessages is how long the last alerts may take after the load has ended.
const lastMessages = 20 * time.Second

// alerts waits for the message of every job that fell idle and gives, for each,
// how long it took from the append of the deciding sample.
func alerts(ctx context.Context, l *load, conn driver.Conn, fake *slacktest.Server) ([]time.Duration, error) {
	expected := 0
	for i := range l.jobs {
		if j := &l.jobs[i]; !j.patient && j.idleAt < never {
			expected++
		}
	}
	received := map[string]time.Time{}
	ctx, cancel := context.WithTimeoutCause(ctx, lastMessages, errors.New("not every job that fell idle was announced"))
	defer cancel()
	err := run.Await(ctx, func(context.Context) (bool, error) {
		for _, m := range fake.Messages() {
			if _, again := received[m.ID]; !again {
				received[m.ID] = m.Received
			}
		}
		return len(received) >= expected, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %d of %d", err, len(received), expected)
	}
	thresholds, err := thresholds(ctx, conn, len(received))
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for id, at := range received {
		name := strings.Split(id, "/")[1]
		decided, err := l.deciding(name, thresholds[name])
		if err != nil {
			return nil, err
		}
		took = append(took, at.Sub(decided))
	}
	return took, nil
}

// thresholds reads threshold_at of every alert, by allocation.
func thresholds(ctx context.Context, conn driver.Conn, n int) (map[string]time.Time, error) {
	found := map[string]time.Time{}
	err := run.Await(ctx, func(ctx context.Context) (bool, error) {
		rows, err := conn.Query(ctx, "SELECT allocation, assumeNotNull(threshold_at) FROM gpumeter.findings WHERE severity = 'alert'")
		if err != nil {
			return false, err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var allocation string
			var at time.Time
			if err := rows.Scan(&allocation, &at); err != nil {
				return false, err
			}
			found[allocation] = at
		}
		return len(found) >= n, rows.Err()
	})
	return found, err
}

// deciding is when the sample was sent without which nobody could know that the
// job had been idle up to threshold: the last, over its nodes, of the first at or
// behind it.
func (l *load) deciding(name string, threshold time.Time) (time.Time, error) {
	j := l.byName[name]
	if j == nil || j.patient || j.idleAt == never {
		return time.Time{}, fmt.Errorf("%s was announced, which is not to be", name)
	}
	fell := l.began.Add(time.Duration(j.idleAt) * time.Second)
	if early := threshold.Sub(fell); early < alertAfter-2*time.Second || early > alertAfter+2*time.Second {
		return time.Time{}, fmt.Errorf("%s: threshold_at is %v after it fell idle", name, early)
	}
	var last time.Time
	for _, n := range j.nodes {
		second := int(threshold.Sub(l.began) / time.Second)
		if l.instant(n, second).Before(threshold) {
			second++
		}
		if at := l.sent[n][second]; at.After(last) {
			last = at
		}
	}
	return last, nil
}
