package grafana

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A scope is what a person has chosen in Grafana.
type scope struct {
	from, to time.Time
	interval time.Duration
	picked   map[string][]string // by variable; a variable that is not in it is at All
}

// expand does what Grafana and the plugin do to a query, for the part of their
// language that the panels use, and refuses the rest:
//
//	$__conditionalAll(EXPR, $var)   1=1 where the variable is at All, else EXPR
//	${var}, ${var:sqlstring}        the value; the values quoted, joined by commas
//	$__fromTime, $__toTime          the range as toDateTime(seconds)
//	$__timeFilter(EXPR)             EXPR within the range, both ends in
//	$__timeInterval(EXPR)           EXPR cut to the interval between points
//	$__interval_s                   that interval in seconds, at least 1
func (s scope) expand(sql string) (string, error) {
	from, to := fmt.Sprintf("toDateTime(%d)", s.from.Unix()), fmt.Sprintf("toDateTime(%d)", s.to.Unix())
	every := fmt.Sprint(max(1, int(s.interval.Seconds())))
	sql, err := s.conditions(sql)
	if err != nil {
		return "", err
	}
	sql = regexp.MustCompile(`\$\{(\w+)(:sqlstring)?\}`).ReplaceAllStringFunc(sql, func(ref string) string {
		name, quoted := strings.CutSuffix(strings.Trim(ref, "${}"), ":sqlstring")
		if quoted {
			return "'" + strings.Join(s.picked[name], "','") + "'"
		}
		return strings.Join(s.picked[name], ",")
	})
	for _, macro := range []struct{ pattern, by string }{
		{`\$__timeFilter\((\w+)\)`, "${1} >= " + from + " AND ${1} <= " + to},
		{`\$__timeInterval\((\w+)\)`, "toStartOfInterval(toDateTime(${1}), INTERVAL " + every + " second)"},
		{`\$__fromTime\b`, from},
		{`\$__toTime\b`, to},
		{`\$__interval_s\b`, every},
	} {
		sql = regexp.MustCompile(macro.pattern).ReplaceAllString(sql, macro.by)
	}
	if at := strings.Index(sql, "$"); at >= 0 {
		return "", fmt.Errorf("no such macro or variable here: %.30s", sql[at:])
	}
	return sql, nil
}

// conditions expands $__conditionalAll from the last to the first, as the plugin
// does. Its arguments are cut at commas outside of parentheses, also in texts.
func (s scope) conditions(sql string) (string, error) {
	const macro = "$__conditionalAll("
	for {
		at := strings.LastIndex(sql, macro)
		if at < 0 {
			return sql, nil
		}
		args, length := arguments(sql[at+len(macro):])
		if len(args) != 2 {
			return "", fmt.Errorf("$__conditionalAll wants two arguments, has %d", len(args))
		}
		by := "1=1"
		if s.picked[strings.TrimPrefix(strings.TrimSpace(args[1]), "$")] != nil {
			by = args[0]
		}
		sql = sql[:at] + by + sql[at+len(macro)+length:]
	}
}

// arguments cuts what follows an opening parenthesis; length is up to behind the
// closing one.
func arguments(text string) (args []string, length int) {
	depth, begin := 1, 0
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 || depth == 1 && c == ',' {
			args, begin = append(args, text[begin:i]), i+1
		}
		if depth == 0 {
			return args, i + 1
		}
	}
	return nil, 0
}

func TestExpand(t *testing.T) {
	s := scope{from: time.Unix(100, 0), to: time.Unix(200, 0), interval: 90 * time.Second, picked: map[string][]string{"team": {"a", "b"}, "currency": {"USD"}}}
	for sql, want := range map[string]string{
		"SELECT 1":                       "SELECT 1",
		"$__timeFilter(window)":          "window >= toDateTime(100) AND window <= toDateTime(200)",
		"$__timeInterval(ts)":            "toStartOfInterval(toDateTime(ts), INTERVAL 90 second)",
		"$__fromTime, $__toTime":         "toDateTime(100), toDateTime(200)",
		"x / $__interval_s":              "x / 90",
		"c = '${currency}'":              "c = 'USD'",
		"team IN (${team:sqlstring})":    "team IN ('a','b')",
		"$__conditionalAll(f(x, y), $t)": "1=1",
		"a AND $__conditionalAll(f(team, '(none)') IN (${team:sqlstring}), $team) AND b": "a AND f(team, '(none)') IN ('a','b') AND b",
		"$__conditionalAll(x, $other) AND $__conditionalAll(y, $team)":                   "1=1 AND y",
	} {
		if got, err := s.expand(sql); got != want || err != nil {
			t.Errorf("%s\n got %q, %v\nwant %q", sql, got, err, want)
		}
	}
	for _, sql := range []string{"$__timeFilterMs(x)", "$__dateFilter(x)", "$team", "$__conditionalAll(x)", "$__conditionalAll(x, $team"} {
		if got, err := s.expand(sql); err == nil {
			t.Errorf("%s became %q", sql, got)
		}
	}
}
