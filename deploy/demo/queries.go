package demo

// The view's numbers, as anybody gets them from the views cost and findings.
// Money is a decimal; it is asked in nano-units, which an int64 holds.
// A filter on window lets ClickHouse read the newest windows only; early facts
// give the part of the open one that is known.
const (
	// selectNow is what GPUs did since the window from which one asks.
	selectNow = `
SELECT toString(state), toString(currency), sum(gpu_ms),
    toInt64(ifNull(sum(list_cost), 0) * 1000000000), max(window_end)
FROM gpumeter.cost WHERE window >= ?
GROUP BY state, currency`

	// selectGPUs is how many there are.
	selectGPUs = `
SELECT uniqExact(node, gpu) FROM gpumeter.cost WHERE window >= ?`

	// selectTotals is what all of it came to.
	selectTotals = `
SELECT toString(state), toString(currency),
    toInt64(ifNull(sum(list_cost), 0) * 1000000000), toInt64(ifNull(sum(waste_cost), 0) * 1000000000)
FROM gpumeter.cost GROUP BY state, currency`

	// selectIdle is who holds GPUs that do nothing, and what that cost since it
	// began. A finding's own burnt_cost is as of its last revision; the facts
	// know it up to now.
	selectIdle = `
WITH open AS (
    SELECT allocation, user, team, node, gpus, severity, cost_per_hour, currency, ` + idleSince + ` AS since
    FROM gpumeter.findings WHERE kind = 'idle' AND status = 'open'
)
SELECT o.allocation, o.user, o.team, o.node, o.gpus, o.severity, o.since,
    toInt64(ifNull(sumIf(c.waste_cost, c.window_end > o.since), 0) * 1000000000) AS burnt,
    toInt64(toDecimal128(ifNull(o.cost_per_hour, 0), 9) * 1000000000), o.currency
FROM open AS o LEFT JOIN (
    SELECT allocation, window_end, waste_cost FROM gpumeter.cost
    WHERE window >= (SELECT toStartOfHour(min(since)) FROM open) AND allocation IN (SELECT allocation FROM open)
) AS c ON c.allocation = o.allocation
GROUP BY ALL ORDER BY burnt DESC, o.allocation LIMIT 50`

	// selectFindings is what happened last: a finding opens, becomes an alert, is
	// resolved. Revisions in between only say what it has cost meanwhile.
	selectFindings = `
SELECT finding, allocation, user, team, tupleElement(news, 1) AS what, tupleElement(news, 2) AS at,
    toInt64(toDecimal128(ifNull(burnt_cost, 0), 9) * 1000000000), toInt64(toDecimal128(ifNull(cost_per_hour, 0), 9) * 1000000000), currency
FROM gpumeter.findings
ARRAY JOIN arrayFilter(x -> x.2 IS NOT NULL, [
    ('opened', opened_at::Nullable(DateTime64(3, 'UTC'))), ('alert', threshold_at), ('resolved', resolved_at)]) AS news
ORDER BY at DESC, finding, what LIMIT 200`

	// selectCounts is how many findings there were.
	selectCounts = `
SELECT count(), countIf(threshold_at IS NOT NULL), countIf(resolved_at IS NOT NULL) FROM gpumeter.findings`

	// selectRestated is how often a cell changed after it was final.
	selectRestated = `
SELECT countIf(restated = 1) FROM gpumeter.cells_history`

	idleSince = `parseDateTime64BestEffortOrZero(evidence['idle_since'], 3, 'UTC')`
)

// try lists commands for another terminal, while the demo runs.
func try(program, data string) []string {
	query := program + " query --data " + data + " "
	return []string{
		query + `"SELECT team, sum(list_cost) AS cost, sum(waste_cost) AS waste FROM gpumeter.cost GROUP BY team ORDER BY waste DESC"`,
		query + `"SELECT * FROM gpumeter.findings ORDER BY burnt_cost DESC LIMIT 5"`,
		query + `"SELECT window, sum(list_cost) FROM gpumeter.cost GROUP BY window ORDER BY window DESC LIMIT 10"`,
	}
}
