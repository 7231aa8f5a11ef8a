package clickhouse

import (
	"fmt"
	"strings"
)

// Names of the users of a server. One process needs the first, as long as it
// runs; the second is for whoever migrates, which a sink does at its start unless
// it is told not to; people and dashboards are the third.
const (
	UserWriter   = "gpumeter_writer"
	UserMigrator = "gpumeter_migrator"
	UserReader   = "gpumeter_reader"
)

// A User is a user with the least rights for what it is for.
type User struct {
	Name    string
	What    string
	Grants  []string // without GRANT and TO
	Profile []Limit
}

// A Limit is a setting of a user, who may choose from 1 to Most, or nothing where
// that is 0. (0 itself would mean no limit.)
type Limit struct {
	Name        string
	Value, Most uint64
}

// Users lists the users. The writer reads nothing that people do, but for cells:
// the view that copies them to their history has the rights of who inserts.
func Users() []User {
	writes := []string{"SELECT(version) ON " + Database + "." + TableMigrations}
	for _, t := range Tables() {
		if t.Name != TableMigrations {
			writes = append(writes, "INSERT ON "+Database+"."+t.Name)
		}
	}
	writes = append(writes, "SELECT(topic_id, generation) ON "+Database+"."+TableGenerations, "SELECT ON "+Database+"."+TableCells)
	return []User{
		{Name: UserWriter, What: "the sink", Grants: writes},
		{Name: UserMigrator, What: "gpumeter migrate, or a sink that migrates", Grants: []string{
			"CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER TABLE, DROP VIEW, SELECT ON " + Database + ".*",
			"TABLE ENGINE ON ReplacingMergeTree",
			"INSERT ON " + Database + "." + TableMigrations,
			"INSERT ON " + Database + "." + TableHistory, // or the view that fills it cannot be made
		}},
		{Name: UserReader, What: "people and Grafana", Grants: []string{"SELECT ON " + Database + ".*"}, Profile: []Limit{
			{"readonly", 2, 0}, // queries only; a query's own settings are let through, up to what follows
			{"allow_ddl", 0, 0},
			{"max_execution_time", 60, 120}, // seconds; clients ask for some more than they wait
			{"max_memory_usage", 4_000_000_000, 4_000_000_000},
			{"max_result_rows", 1_000_000, 1_000_000},
			{"max_result_bytes", 1_000_000_000, 1_000_000_000},
			{"max_concurrent_queries_for_user", 16, 0},
		}},
	}
}

// SQL makes u on a server whose administrator runs it. The password is to be
// filled in.
func (u User) SQL() string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- %s\nCREATE USER IF NOT EXISTS %s IDENTIFIED BY '…'", u.What, u.Name)
	for i, l := range u.Profile {
		word := ", "
		if i == 0 {
			word = "\n  SETTINGS "
		}
		fmt.Fprintf(&b, "%s%s = %d", word, l.Name, l.Value)
		if l.Most > 0 {
			fmt.Fprintf(&b, " MIN 1 MAX %d", l.Most)
		} else {
			b.WriteString(" CONST")
		}
	}
	b.WriteString(";\n")
	for _, g := range u.Grants {
		fmt.Fprintf(&b, "GRANT %s TO %s;\n", g, u.Name)
	}
	return b.String()
}

// XML makes u in a file of users.d: the embedded engine has no CREATE USER, and
// containers take users from files. hash is the password's SHA-256 in hex.
func (u User) XML(hash string) string {
	var profile, limits, grants strings.Builder
	for _, l := range u.Profile {
		fmt.Fprintf(&profile, "      <%[1]s>%[2]d</%[1]s>\n", l.Name, l.Value)
		limit := "<const/>"
		if l.Most > 0 {
			limit = fmt.Sprintf("<min>1</min><max>%d</max>", l.Most)
		}
		fmt.Fprintf(&limits, "        <%[1]s>%[2]s</%[1]s>\n", l.Name, limit)
	}
	for _, g := range u.Grants {
		fmt.Fprintf(&grants, "        <query>GRANT %s</query>\n", g)
	}
	return fmt.Sprintf(`<clickhouse>
  <profiles>
    <%[1]s>
%[2]s      <constraints>
%[3]s      </constraints>
    </%[1]s>
  </profiles>
  <users>
    <%[1]s>
      <password_sha256_hex>%[4]s</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>%[1]s</profile>
      <quota>default</quota>
      <grants>
%[5]s      </grants>
    </%[1]s>
  </users>
</clickhouse>
`, u.Name, profile.String(), limits.String(), hash, grants.String())
}
