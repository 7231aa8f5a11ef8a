// Command gpumeter is the all-in-one: replay, query, verify, and the embedded
// broker and ClickHouse. See package cli.
package main

import (
	"os"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/cli"
	"github.com/gpumeter/gpumeter/schemas/service"
)

func main() {
	// The embedded ClickHouse is a child of this program: itself, once more.
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	os.Exit(service.Main(cli.Root(), os.Args[1:], os.Stderr))
}
