// Command generate writes the first migration from the declarations of package
// schemas. go generate runs it in the folder of package clickhouse.
package main

import (
	"fmt"
	"os"

	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

func main() {
	os.Exit(run())
}

func run() int {
	const header = "-- Generated from the declarations in schemas/*.go by go generate; do not edit.\n\n"
	if err := os.WriteFile("migrations/0001_ledger.sql", []byte(header+clickhouse.DDL()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		return 1
	}
	return 0
}
