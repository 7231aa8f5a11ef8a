package grafana

func freshness() Panel {
	return Panel{
		Title: "Age of the newest fact", Kind: Stat, Width: 6,
		Says:    "Time from the end of the newest fact to now, or to the range's end. More than a minute or two: a stage lags, see its /metrics.",
		Columns: []Column{{"age", Number, seconds}},
		SQL: `SELECT greatest(dateDiff('second', max(arrayMax(` + "`rows.window_end`" + `)), least(now(), $__toTime)), 0) AS age
FROM gpumeter.cells
WHERE $__timeFilter(window)`,
	}
}

func unknown() Panel {
	return Panel{
		Title: "Unknown time", Kind: Stat, Width: 6,
		Says:    "GPU-hours that no sample speaks for, and their share. They are paid for and held, but nobody knows what the GPU did.",
		Columns: []Column{{"gpu_hours", Number, hours}, {"of_all", Number, share}},
		SQL: `SELECT sumIf(gpu_ms, state = 'unknown') / 3.6e6 AS gpu_hours, sumIf(gpu_ms, state = 'unknown') / sum(gpu_ms) AS of_all
FROM gpumeter.cost
WHERE ` + picked,
	}
}

func unpriced() Panel {
	return Panel{
		Title: "Unpriced time", Kind: Stat, Width: 6,
		Says:    "GPU-hours without a price, which no sum of money has. Add the missing row to prices: what it concerns is restated.",
		Columns: []Column{{"gpu_hours", Number, hours}, {"of_all", Number, share}},
		SQL: `SELECT sumIf(gpu_ms, price_status = 'unpriced') / 3.6e6 AS gpu_hours, sumIf(gpu_ms, price_status = 'unpriced') / sum(gpu_ms) AS of_all
FROM gpumeter.cost
WHERE ` + picked,
	}
}

func restated() Panel {
	return Panel{
		Title: "Restated", Kind: Stat, Width: 6,
		Says:    "Share of the GPU-time that was said otherwise before: late samples, ends, prices or tags changed it. gpumeter.cost_history has what was said.",
		Columns: []Column{{"of_all", Number, share}},
		SQL: `SELECT sumIf(gpu_ms, known_at > first_reported_at) / sum(gpu_ms) AS of_all
FROM gpumeter.cost
WHERE ` + picked,
	}
}

// samples counts rows of the table below the view samples: merging repeats to
// count would cost more than the few that are not merged yet. An event is at
// most ten minutes later than its record, which bounds the partitions.
func samples() Panel {
	return Panel{
		Title: "Samples per minute", Kind: Series, Width: 12,
		Says:    "Readings by the time that they were taken, stored so far, by cluster of the node. A dent that fills up later was an outage of the network, one that stays one of a collector.",
		Columns: []Column{{"time", Time, ""}, {"cluster", Text, ""}, {"per_minute", Number, ""}},
		SQL: `SELECT $__timeInterval(ts) AS time, r.cluster AS cluster, 60 * count() / $__interval_s AS per_minute
FROM gpumeter.samples_log AS s
LEFT ANY JOIN (SELECT node, any(cluster) AS cluster FROM gpumeter.resources GROUP BY node) AS r ON r.node = s.node
WHERE $__timeFilter(ts) AND appended_at >= $__fromTime - INTERVAL 10 MINUTE AND ` + ofCluster + `
GROUP BY time, cluster
ORDER BY time, cluster`,
	}
}

func deadLetters() Panel {
	return Panel{
		Title: "Dead letters by reason", Kind: Table, Width: 12,
		Says:    "What was refused, or is reported and kept, when it came in. Ranges of replayed time show none: letters have the time of their arrival.",
		Columns: []Column{{"reason", Text, ""}, {"stream", Text, ""}, {"records", Number, ""}, {"newest", Time, ""}, {"example", Text, ""}},
		SQL: `SELECT reason, stream, sum(count) AS records, max(appended_at) AS newest, any(concat(place, ': ', detail)) AS example
FROM gpumeter.dead_letters
WHERE $__timeFilter(appended_at)
GROUP BY reason, stream
ORDER BY records DESC`,
	}
}
