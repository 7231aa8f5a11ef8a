package clickhouse

import (
	"fmt"
	"strings"
)

// DDL is the text that makes the whole ledger from nothing, one statement
// after another, each ended by a semicolon on the last line of its own.
func DDL() string {
	statements := []string{"CREATE DATABASE IF NOT EXISTS " + Database}
	for _, t := range Tables() {
		statements = append(statements, t.create())
	}
	statements = append(statements, historyFeed())
	for _, v := range Views() {
		statements = append(statements, v.create())
	}
	return strings.Join(statements, ";\n\n") + ";\n"
}

func (t Table) create() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s.%s\n(\n", Database, t.Name)
	for i, c := range t.Columns {
		if c.Extra != "" {
			c.Type += " " + c.Extra
		}
		fmt.Fprintf(&b, "    %s %s COMMENT %s%s\n", quote(c.Name), c.Type, literal(c.Doc), comma(i, len(t.Columns)))
	}
	fmt.Fprintf(&b, ")\nENGINE = ReplacingMergeTree%s\n", parenthesised(t.Version))
	if t.Partition != "" {
		fmt.Fprintf(&b, "PARTITION BY %s\n", t.Partition)
	}
	fmt.Fprintf(&b, "ORDER BY (%s)\n", t.OrderBy)
	if t.TTL != "" {
		fmt.Fprintf(&b, "TTL %s\n", t.TTL)
	}
	if len(t.Settings) > 0 {
		fmt.Fprintf(&b, "SETTINGS %s\n", strings.Join(t.Settings, ", "))
	}
	fmt.Fprintf(&b, "COMMENT %s", literal(t.Doc))
	return b.String()
}

// historyFeed copies every inserted cell that is not early to the history.
func historyFeed() string {
	return fmt.Sprintf("CREATE MATERIALIZED VIEW IF NOT EXISTS %[1]s.%[2]s_feed TO %[1]s.%[2]s AS\nSELECT *\nFROM %[1]s.%[3]s\nWHERE finality != 'early'",
		Database, TableHistory, TableCells)
}

func (v View) create() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE VIEW IF NOT EXISTS %s.%s\n(\n", Database, v.Name)
	for i, c := range v.Columns {
		fmt.Fprintf(&b, "    %s %s COMMENT %s%s\n", quote(c.Name), c.Type, literal(c.Doc), comma(i, len(v.Columns)))
	}
	fmt.Fprintf(&b, ")\nAS\n%s\nCOMMENT %s", v.Query, literal(v.Doc))
	return b.String()
}

func comma(i, n int) string {
	if i+1 < n {
		return ","
	}
	return ""
}

func parenthesised(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func quote(name string) string { return "`" + name + "`" }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
