package clickhouse

import (
	"fmt"
	"reflect"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// Database is the ledger's database. Its name is fixed: the views name it.
const Database = "gpumeter"

// Tables that the sink fills. A stream's table is named after it.
const (
	TableCells   = "cells"
	TableHistory = "cells_history"
	logSuffix    = "_log"

	TableGenerations = "generations"
	TableMigrations  = "migrations"
	TableMarks       = "dead_letter_marks"
)

// LogTable is the table of a low-rate stream or of the samples.
func LogTable(stream string) string { return stream + logSuffix }

// A Table is a ReplacingMergeTree.
type Table struct {
	Name      string
	Doc       string
	Columns   []Column
	Version   string // column whose greatest value wins among rows of one key; empty: the last inserted
	Partition string
	OrderBy   string
	TTL       string   // empty: kept for ever
	Settings  []string // name = value
}

// Column returns a column by name; it panics for a name that is not declared,
// which is a mistake of the program.
func (t Table) Column(name string) Column {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	panic(fmt.Sprintf("table %s has no column %s", t.Name, name))
}

// Tables lists every table.
func Tables() []Table {
	return []Table{
		Cells(), history(), samplesLog(), processesLog(),
		eventLog(schemas.StreamAllocations, "allocation", "ts", "event"),
		eventLog(schemas.StreamResources, "resource", "from"),
		eventLog(schemas.StreamPrices, "provider", "region", "sku", "pricing_category", "effective_from"),
		eventLog(schemas.StreamTags, "effective_from"),
		eventLog(schemas.StreamFindings, "finding", "revision"),
		eventLog(schemas.StreamDeadLetters, "stream", "reason", "place"),
		marksTable(), generations(), migrationsTable(),
	}
}

// FindTable returns a table by name; it panics for a name that is not declared.
func FindTable(name string) Table {
	for _, t := range Tables() {
		if t.Name == name {
			return t
		}
	}
	panic("no table " + name)
}

// RowPrefix is before the names of a cell's row columns: arrays with one
// element per row of the cell.
const RowPrefix = "rows."

// Cells holds the newest revision of every cell. The key begins with the hour,
// so that parts of different hours do not overlap and FINAL merges only what
// is still being written; a week is a partition because a cell never leaves it
// and FINAL need not look across.
func Cells() Table {
	cell, row := split(reflect.TypeFor[schemas.Costs]())
	columns := append([]Column{}, cell...)
	columns = append(columns,
		Column{Name: "version", Type: "UInt64", Doc: "generation of the cost topic x 2^48 + offset: rises with every revision of a cell, the same on redelivery"},
		Column{Name: "known_at", Type: typeInstant, Doc: "when the broker appended this revision"},
	)
	for _, c := range row {
		columns = append(columns, Column{Name: RowPrefix + c.Name, Type: "Array(" + c.Type + ")", Doc: "per row: " + c.Doc})
	}
	return Table{
		Name: TableCells, Doc: "Newest revision of every cell: all rows of one resource, GPU of a node, and window. Query the view cost.",
		Columns: columns, Version: "version",
		Partition: "toMonday(`window`)", OrderBy: cellKey,
		Settings: []string{compactParts},
	}
}

// compactParts keeps what a flush inserts in one file a part: 85 columns in
// files of their own take twice as long to write and hundreds of MB of buffers.
// Merged parts are larger and have a file for each column.
const compactParts = "min_bytes_for_wide_part = 268435456"

// A GPU's id is its own on its node only, and a resource may move to another
// node.
const cellKey = "toStartOfHour(`window`), resource, node, gpu, `window`"

func history() Table {
	t := Cells()
	t.Name, t.Doc = TableHistory, "Every revision of a cell that was not early. Query the view cost_history."
	t.OrderBy += ", version"
	return t
}

// latestSaid is the version of rows that have none of their own: what was said
// last wins. Without it what was inserted last would, and a sink that comes back
// from a long pause would put an older reading over a newer one.
const latestSaid = "appended_at"

func appendedAt() Column {
	return Column{Name: "appended_at", Type: typeInstant, Doc: "when the broker appended the record"}
}

func samplesLog() Table {
	columns := []Column{{Name: "node", Type: typeText, Doc: "node"}}
	columns = append(columns, with(declared(reflect.TypeFor[schemas.Series]()), map[string]string{
		"gpu": typeText, "slice": typeText, "gpu_model": typeText,
	})...)
	for _, c := range declared(reflect.TypeFor[schemas.Samples]()) {
		if c.Name != "series" {
			columns = append(columns, c)
		}
	}
	return rawLog(schemas.StreamSamples, columns, "node, gpu, slice, ts")
}

func processesLog() Table {
	return rawLog(schemas.StreamProcesses, declared(reflect.TypeFor[schemas.Process]()), "node, gpu, slice, pid, ts")
}

// rawLog is a table of readings, which are dropped by whole days after the
// topic's retention. Days and age are of the append, not of the event: a
// replay of last year must not delete itself.
func rawLog(stream string, columns []Column, key string) Table {
	s := streamOf(stream)
	return Table{
		Name: LogTable(stream), Doc: s.Doc + " Query the view " + stream + ".",
		Columns:   append(columns, appendedAt()),
		Version:   latestSaid,
		Partition: "toDate(appended_at)", OrderBy: key,
		TTL:      fmt.Sprintf("toDateTime(appended_at) + INTERVAL %d DAY", int(s.Retention/(24*time.Hour))),
		Settings: []string{"ttl_only_drop_parts = 1", compactParts},
	}
}

// eventLog is a table of a low-rate stream. The digest of all columns ends the
// key: what was said twice is kept once, what differs is kept beside it.
func eventLog(stream string, key ...string) Table {
	s := streamOf(stream)
	columns := declared(reflect.TypeOf(s.Row))
	digest := Column{
		Name: "digest", Type: "UInt64", Extra: "MATERIALIZED cityHash64(" + quoteAll(names(columns)) + ")",
		Doc: "tells different records of one key apart",
	}
	return Table{
		Name: LogTable(stream), Doc: s.Doc + " Query the view " + stream + ".",
		Columns: append(columns, appendedAt(), digest),
		Version: latestSaid,
		OrderBy: quoteAll(append(key, "digest")),
	}
}

func streamOf(name string) schemas.Stream {
	for _, s := range schemas.Streams() {
		if s.Name == name {
			return s
		}
	}
	panic("no stream " + name)
}

// generations numbers the incarnations of the cost topic. A topic that was
// deleted and made again starts at offset 0: its cells must still be newer.
func generations() Table {
	return Table{
		Name: TableGenerations, Doc: "Incarnations of the cost topic, in the order in which sinks met them.",
		Columns: []Column{
			{Name: "topic_id", Type: "String", Doc: "id that the brokers gave the topic when it was created"},
			{Name: "generation", Type: "UInt32", Doc: "high bits of the version of its cells"},
			{Name: "seen_at", Type: typeInstant, Extra: "DEFAULT now64(3)", Doc: "when a sink met it first"},
		},
		OrderBy: "topic_id",
	}
}

// marksTable says what became of dead letters.
func marksTable() Table {
	return Table{
		Name: TableMarks, Doc: "What was done about dead letters. The newest mark of a letter counts.",
		Columns: []Column{
			{Name: "digest", Type: "UInt64", Doc: "digest of the letter"},
			{Name: "state", Type: typeText, Doc: "retried or dropped"},
			{Name: "note", Type: "String", Doc: "why it was dropped, or where it was published again"},
			{Name: "marked_at", Type: typeInstant, Extra: "DEFAULT now64(3)", Doc: "when"},
		},
		OrderBy: "digest, marked_at",
	}
}

func migrationsTable() Table {
	return Table{
		Name: TableMigrations, Doc: "Migrations that were applied.",
		Columns: []Column{
			{Name: "version", Type: "UInt32", Doc: "number of the migration"},
			{Name: "name", Type: "String", Doc: "its file"},
			{Name: "applied_at", Type: typeInstant, Extra: "DEFAULT now64(3)", Doc: "when it had run to its end"},
		},
		OrderBy: "version",
	}
}
