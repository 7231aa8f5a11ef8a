package grafana

// What the queries share. The plugin expands $__… macros, Grafana ${…} variables.

const (
	// team has a name for those without one, so that it can be picked.
	team = `if(team = '', '(none)', team)`

	// ofTeam and ofCluster are true for what is picked.
	ofTeam    = `$__conditionalAll(` + team + ` IN (${team:sqlstring}), $team)`
	ofCluster = `$__conditionalAll(cluster IN (${cluster:sqlstring}), $cluster)`

	// picked is what the dashboard shows. window, not window_start, prunes partitions.
	picked = `$__timeFilter(window) AND ` + ofCluster + ` AND ` + ofTeam

	// inCurrency keeps the money of different currencies apart.
	inCurrency = `currency = '${currency}'`

	// latest is the newest window in the dashboard's range. It reads one column of
	// the table below the view cost: the view would merge and join what is not
	// asked for.
	latest = `
    (SELECT max(window) FROM gpumeter.cells WHERE $__timeFilter(window)) AS latest`

	// now are the windows of the newest five minutes: from since up to latest, and
	// the time that they cover. "Now" is the newest in the range, so that a range
	// of last week shows how last week ended.
	now = `WITH` + latest + `,
    (SELECT min(window) FROM gpumeter.cells WHERE window >= latest - INTERVAL 5 MINUTE) AS since,
    (SELECT max(arrayMax(` + "`rows.window_end`" + `)) FROM gpumeter.cells WHERE window >= since AND window <= latest) AS until,
    dateDiff('millisecond', since, until) / 3.6e6 AS hours`

	// pickedNow is picked, of these windows.
	pickedNow = `window >= since AND window <= latest AND ` + ofCluster + ` AND ` + ofTeam

	// perPoint divides what happened between two points by the hours that the
	// ledger covers of it: the first and the last point are cut by the range and
	// by the newest fact.
	perPoint = `WITH` + latest + `,
    (SELECT max(arrayMax(` + "`rows.window_end`" + `)) FROM gpumeter.cells WHERE window = latest) AS until,
    greatest(dateDiff('second', greatest(time, $__fromTime), least(time + $__interval_s, until)), 1) / 3600 AS hours`
)
