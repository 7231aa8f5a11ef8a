// Package stack is what the pipeline stands on: a broker and a ClickHouse,
// either embedded in this process with their files under one data directory, or
// somebody else's. It makes sure that topics and tables are there. It runs no
// stage.
//
//	DATA/broker         topics and group offsets, as package deploy/broker keeps them
//	DATA/clickhouse     tables, as ClickHouse keeps them
//	DATA/settings.yaml  the rules that the ledger was made with
package stack
