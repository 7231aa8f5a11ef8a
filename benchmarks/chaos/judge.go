package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/deploy/verify"
	"github.com/gpumeter/gpumeter/schemas"
)

// A verdict is what was found, and what of it is wrong.
type verdict struct {
	rows, revisions, findings int
	wrong                     []string // the first of each kind
}

// judge holds what can be queried against what was published to Kafka by the
// collectors (the oracle recomputes it), and against what the processors committed.
func (p *pipeline) judge(ctx context.Context, l *load) (v verdict, err error) {
	expected := oracle.Defaults(time.Now().UnixMilli())
	expected.Until = &l.horizon
	report, err := verify.Ledger(ctx, p.conn, verify.Options{Input: l.dir, Oracle: expected, Horizon: &l.horizon})
	if err != nil {
		return v, err
	}
	v.rows = int(report.Rows)
	if !report.OK() {
		v.wrong = append(v.wrong, fmt.Sprintf("ledger: %d violations, the first: %s", report.Violations, report.First))
	}
	if report.Rows == 0 {
		v.wrong = append(v.wrong, "ledger: there is none")
	}
	all, err := p.readPublished(ctx)
	if err != nil {
		return v, err
	}
	v.revisions, v.findings = all.revisions(), len(all.findings)
	for _, check := range []func(context.Context, driver.Conn, *published) (string, error){history, newest, findings} {
		wrong, err := check(ctx, p.conn, all)
		if err != nil {
			return v, err
		}
		v.add(wrong)
	}
	v.add(all.repeated())
	wrong, err := l.stored(ctx, p.conn)
	v.add(wrong)
	if err != nil {
		return v, err
	}
	wrong, err = p.rebuilt()
	v.add(wrong)
	return v, err
}

func (v *verdict) add(wrong string) {
	if wrong != "" {
		v.wrong = append(v.wrong, wrong)
	}
}

// versionOffset is the part of a version that is an offset; the topic was made once.
const versionOffset = 1<<48 - 1

// history wants every committed revision that is not early once, and no other.
func history(ctx context.Context, conn driver.Conn, all *published) (string, error) {
	kept, err := revisionsOf(ctx, conn, "cells_history")
	if err != nil {
		return "", err
	}
	missing := 0
	first := ""
	for _, key := range all.order() {
		for _, r := range all.cells[key] {
			if r.finality == schemas.FinalityEarly {
				continue
			}
			at := version{key, uint64(r.offset)}
			if have, ok := kept[at]; !ok || len(have) != 1 || have[0] != r.stored {
				if missing++; first == "" {
					first = fmt.Sprintf("%s revision %d: expected once %+v, found %+v", key, r.offset, r.stored, have)
				}
			}
			delete(kept, at)
		}
	}
	for at := range kept {
		if first == "" {
			first = fmt.Sprintf("%s revision %d: nobody committed it", at.cell, at.number)
		}
	}
	if missing+len(kept) > 0 {
		return fmt.Sprintf("history: %d revisions missing or different, %d that nobody committed, the first: %s", missing, len(kept), first), nil
	}
	return "", nil
}

// newest wants one version of each cell: the last that was committed.
func newest(ctx context.Context, conn driver.Conn, all *published) (string, error) {
	kept, err := revisionsOf(ctx, conn, "cells")
	if err != nil {
		return "", err
	}
	if len(kept) != len(all.cells) {
		return fmt.Sprintf("cells: %d, and %d were committed", len(kept), len(all.cells)), nil
	}
	for _, key := range all.order() {
		list := all.cells[key]
		last := list[len(list)-1]
		if have := kept[version{key, uint64(last.offset)}]; len(have) != 1 || have[0] != last.stored {
			return fmt.Sprintf("cells: %s: the last revision is %d with %+v, found %+v", key, last.offset, last.stored, have), nil
		}
	}
	return "", nil
}

// A version is one revision of a cell in ClickHouse.
type version struct {
	cell
	number uint64 // offset in the cost topic
}

func revisionsOf(ctx context.Context, conn driver.Conn, table string) (map[version][]stored, error) {
	rows, err := conn.Query(ctx, "SELECT node, resource, gpu, toUnixTimestamp64Milli(`window`), version, length(`rows.state`), arraySum(`rows.gpu_ms`) FROM gpumeter."+table+" FINAL")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	kept := map[version][]stored{}
	for rows.Next() {
		var v version
		var s stored
		if err := rows.Scan(&v.node, &v.resource, &v.gpu, &v.window, &v.number, &s.rows, &s.gpuMs); err != nil {
			return nil, err
		}
		v.number &= versionOffset
		kept[v] = append(kept[v], s)
	}
	return kept, rows.Err()
}

// findings wants every revision of a finding once.
func findings(ctx context.Context, conn driver.Conn, all *published) (string, error) {
	rows, err := conn.Query(ctx, "SELECT finding, revision, count() FROM gpumeter.findings_log FINAL GROUP BY finding, revision")
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	n := 0
	for rows.Next() {
		var f finding
		var times uint64
		if err := rows.Scan(&f.id, &f.revision, &times); err != nil {
			return "", err
		}
		if times != 1 || all.findings[f] == 0 {
			return fmt.Sprintf("findings: %s revision %d: %d times in ClickHouse, %d in Kafka", f.id, f.revision, times, all.findings[f]), nil
		}
		n++
	}
	if n != len(all.findings) {
		return fmt.Sprintf("findings: %d revisions, and %d were committed", n, len(all.findings)), rows.Err()
	}
	return "", rows.Err()
}

// stored wants every sample of the input once.
func (l *load) stored(ctx context.Context, conn driver.Conn) (string, error) {
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM gpumeter.samples").Scan(&n); err != nil {
		return "", err
	}
	if int(n) != l.samples {
		return fmt.Sprintf("samples: %d stored of %d", n, l.samples), nil
	}
	return "", nil
}

// What a processor logs when it cannot begin with an archive, and the one reason
// for that which a kill may leave.
const (
	rebuilding = `msg="rebuilding the state of a partition from the topics"`
	unfinished = `reason="there is none, or it was not finished"`
)

// rebuilt wants archives to be of use, or not to be there: none is damaged by a kill,
// or ahead of what is committed.
func (p *pipeline) rebuilt() (string, error) {
	for _, name := range []string{one, two} {
		log, err := os.ReadFile(p.stages[name].log)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, rebuilding) && !strings.Contains(line, unfinished) {
				return "archive of " + name + ": " + strings.TrimSpace(line), nil
			}
		}
	}
	return "", nil
}
