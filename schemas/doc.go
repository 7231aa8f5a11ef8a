// Package schemas declares every stream of gpumeter once: its columns, units,
// meaning, topic and table. From a declaration follow the Arrow schema, the
// builders and readers of package wire, the ClickHouse tables of package
// clickhouse and docs/schemas.md. It does not read, write or connect anything.
//
// A column is declared as a struct field with tags:
//
//	col   column name, the same on the wire, in SQL and in the docs
//	unit  physical unit, empty when there is none
//	doc   one sentence: what it means
//
// Low-rate streams are structs of one row (Allocation, Resource, Price, Tag,
// Process, DeadLetter, Tick). The two hot streams are structs of columns
// (Samples, Costs), because a row at a time is what the hot path cannot afford.
package schemas
