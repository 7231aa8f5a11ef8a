package grafana

// idleNow joins what a detector found and what the newest facts say: a finding
// has the whole of what was burnt, a fact is there before any detector speaks.
func idleNow() Panel {
	return Panel{
		Title: "Idle now, by money (${currency})", Kind: Table, Width: 12,
		Says: "Allocations that did no work in the newest five minutes of the range, and open findings. " +
			"Burnt is since the idleness began where there is a finding, else in the range. Findings are not filtered by cluster.",
		Columns: []Column{
			{"allocation", Text, ""},
			{"user", Text, ""},
			{"team", Text, ""},
			{"gpus", Number, ""},
			{"burnt", Number, money},
			{"per_hour", Number, money},
			{"severity", Text, ""},
			{"advice", Text, ""},
		},
		SQL: now + `
SELECT allocation, max(u) AS user, max(t) AS team, max(g) AS gpus,
       if(max(found) IS NULL, max(wasted), max(found)) AS burnt, max(rate) AS per_hour, max(s) AS severity, max(a) AS advice
FROM
(
    SELECT allocation, toString(any(user)) AS u, toString(any(team)) AS t, sumIf(gpu_ms, window >= since AND state IN ('idle', 'idle_held')) / 3.6e6 / hours AS g,
           CAST(NULL AS Nullable(Float64)) AS found, toFloat64(sum(waste_cost)) AS wasted,
           toFloat64(sumIf(waste_cost, window >= since)) / hours AS rate, '' AS s, '' AS a
    FROM gpumeter.cost
    WHERE ` + picked + ` AND ` + inCurrency + ` AND allocation IN
    (
        SELECT allocation FROM gpumeter.cost
        WHERE window >= since AND window <= latest AND state IN ('idle', 'idle_held')
    )
    GROUP BY allocation
    UNION ALL
    SELECT allocation, user, team, toFloat64(length(gpus)), toFloat64(burnt_cost), NULL, toFloat64(cost_per_hour), severity, advice
    FROM gpumeter.findings
    WHERE status = 'open' AND opened_at <= $__toTime AND updated_at >= $__fromTime AND ` + inCurrency + ` AND ` + ofTeam + `
)
GROUP BY allocation
ORDER BY burnt DESC
LIMIT 50`,
	}
}

func findings() Panel {
	return Panel{
		Title: "Findings (${currency})", Kind: Table, Width: 12,
		Says: "What was found in the range, the dearest first; also what is over. Not filtered by cluster.",
		Columns: []Column{
			{"status", Text, ""},
			{"severity", Text, ""},
			{"kind", Text, ""},
			{"opened_at", Time, ""},
			{"updated_at", Time, ""},
			{"allocation", Text, ""},
			{"user", Text, ""},
			{"team", Text, ""},
			{"burnt", Number, money},
			{"per_hour", Number, money},
			{"advice", Text, ""},
		},
		SQL: `SELECT status, severity, kind, opened_at, updated_at, allocation, user, team,
       burnt_cost AS burnt, cost_per_hour AS per_hour, advice
FROM gpumeter.findings
WHERE opened_at <= $__toTime AND updated_at >= $__fromTime AND currency IN ('${currency}', '') AND ` + ofTeam + `
ORDER BY burnt DESC
LIMIT 200`,
	}
}
