package grafana

// A Row is a heading with panels below it.
type Row struct {
	Title  string
	Panels []Panel
}

// Overview is the dashboard, from the top down: what it costs now, where it goes,
// who lets it idle, and whether the ledger can be believed.
func Overview() []Row {
	return []Row{
		{"Now", []Panel{moneyNow(), gpusNow(), findingsNow()}},
		{"Where the money goes", []Panel{moneyOverTime(), statesOverTime(), funnel(), costByTeam(), teams()}},
		{"What stands idle", []Panel{idleNow(), findings()}},
		{"Can the ledger be believed", []Panel{freshness(), unknown(), unpriced(), restated(), samples(), deadLetters()}},
	}
}

func moneyNow() Panel {
	return Panel{
		Title: "Money per hour now (${currency})", Kind: Stat, Width: 10,
		Says:    "What an hour costs at the rate of the newest five minutes in the range: all that is paid for, what somebody holds, and what is held without any work.",
		Columns: []Column{{"reserved", Number, money}, {"allocated", Number, money}, {"waste", Number, money}},
		SQL: now + `
SELECT sum(effective_cost) / hours AS reserved,
       sumIf(effective_cost, allocation != '') / hours AS allocated,
       sum(waste_cost) / hours AS waste
FROM gpumeter.cost
WHERE ` + pickedNow + ` AND ` + inCurrency,
	}
}

func gpusNow() Panel {
	return Panel{
		Title: "GPUs now", Kind: Stat, Width: 8,
		Says:    "GPUs that are paid for, that work, and that are held without work, over the newest five minutes in the range.",
		Columns: []Column{{"all", Number, ""}, {"active", Number, ""}, {"idle", Number, ""}},
		SQL: now + `
SELECT sum(gpu_ms) / 3.6e6 / hours AS all,
       sumIf(gpu_ms, state = 'active') / 3.6e6 / hours AS active,
       sumIf(gpu_ms, state IN ('idle', 'idle_held')) / 3.6e6 / hours AS idle
FROM gpumeter.cost
WHERE ` + pickedNow,
	}
}

func findingsNow() Panel {
	return Panel{
		Title: "Open alerts (${currency})", Kind: Stat, Width: 6,
		Says:    "Idle allocations that are alerts and open, what they have burnt, and what each further hour adds. Not filtered by cluster.",
		Columns: []Column{{"alerts", Number, ""}, {"burnt", Number, money}, {"per_hour", Number, money}},
		SQL: `SELECT count() AS alerts, sum(burnt_cost) AS burnt, sum(cost_per_hour) AS per_hour
FROM gpumeter.findings
WHERE status = 'open' AND severity = 'alert' AND opened_at <= $__toTime AND updated_at >= $__fromTime
  AND ` + inCurrency + ` AND ` + ofTeam,
	}
}

func moneyOverTime() Panel {
	return Panel{
		Title: "Money per hour (${currency})", Kind: Series, Width: 12,
		Says:    "What an hour costs, by what the GPUs did. The height is what is paid for.",
		Columns: []Column{{"time", Time, ""}, {"state", Text, ""}, {"per_hour", Number, money}},
		SQL: perPoint + `
SELECT $__timeInterval(window) AS time, toString(state) AS state, sum(effective_cost) / any(hours) AS per_hour
FROM gpumeter.cost
WHERE ` + picked + ` AND ` + inCurrency + `
GROUP BY time, state
ORDER BY time, state`,
	}
}

func statesOverTime() Panel {
	return Panel{
		Title: "GPUs by state", Kind: Shares, Width: 12,
		Says:    "Each state's share of the GPUs; the values are GPUs. Unknown is what no collector measured.",
		Columns: []Column{{"time", Time, ""}, {"state", Text, ""}, {"gpus", Number, ""}},
		SQL: perPoint + `
SELECT $__timeInterval(window) AS time, toString(state) AS state, sum(gpu_ms) / 3.6e6 / any(hours) AS gpus
FROM gpumeter.cost
WHERE ` + picked + `
GROUP BY time, state
ORDER BY time, state`,
	}
}

func funnel() Panel {
	return Panel{
		Title: "From paid for to used (${currency})", Kind: Table, Width: 8,
		Says: "Reserved is paid for, allocated is held by somebody, active does some work, used is active weighted by load. " +
			"The steps lose free capacity, waste, and inefficiency.",
		Columns: []Column{{"stage", Text, ""}, {"gpu_hours", Number, ""}, {"cost", Number, money}, {"percent", Number, percent}},
		SQL: `SELECT stage, ms / 3.6e6 AS gpu_hours, cost, 100 * ms / reserved_ms AS percent
FROM
(
    SELECT sum(gpu_ms) AS reserved_ms, sum(effective_cost) AS reserved,
           sumIf(gpu_ms, allocation != '') AS allocated_ms, sumIf(effective_cost, allocation != '') AS allocated,
           sumIf(gpu_ms, state = 'active') AS active_ms, sumIf(effective_cost, state = 'active') AS active,
           sum(used_gpu_ms) AS used_ms, sum(used_cost) AS used
    FROM gpumeter.cost
    WHERE ` + picked + ` AND ` + inCurrency + `
    HAVING reserved_ms > 0
)
ARRAY JOIN
    ['1 reserved', '2 allocated', '3 active', '4 used'] AS stage,
    [reserved_ms, allocated_ms, active_ms, used_ms] AS ms,
    [reserved, allocated, active, used] AS cost
ORDER BY stage`,
	}
}

func costByTeam() Panel {
	return Panel{
		Title: "Cost by team (${currency})", Kind: Bars, Width: 6,
		Says:    "What each team's allocations cost in the range. (none) is held by nobody, or by somebody without a team.",
		Columns: []Column{{"team", Text, ""}, {"cost", Number, money}},
		SQL: `SELECT ` + team + ` AS team, sum(effective_cost) AS cost
FROM gpumeter.cost
WHERE ` + picked + ` AND ` + inCurrency + `
GROUP BY team
ORDER BY cost DESC`,
	}
}

func teams() Panel {
	return Panel{
		Title: "Teams (${currency})", Kind: Table, Width: 10,
		Says: "Allocated adds up to what is paid for what is held; used is weighted by load; waste is held without any work.",
		Columns: []Column{
			{"team", Text, ""},
			{"allocations", Number, ""},
			{"gpu_hours", Number, ""},
			{"allocated", Number, money},
			{"used", Number, money},
			{"waste", Number, money},
			{"waste_percent", Number, percent},
		},
		SQL: `SELECT ` + team + ` AS team, uniqExact(allocation) AS allocations, sum(gpu_ms) / 3.6e6 AS gpu_hours,
       sum(effective_cost) AS allocated, sum(used_cost) AS used, sum(waste_cost) AS waste,
       100 * toFloat64(waste) / nullIf(toFloat64(allocated), 0) AS waste_percent
FROM gpumeter.cost
WHERE ` + picked + ` AND ` + inCurrency + ` AND allocation != ''
GROUP BY team
ORDER BY waste DESC`,
	}
}
