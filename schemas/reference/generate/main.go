// Command generate writes docs/schemas.md. go generate runs it in the folder of
// package reference.
package main

import (
	"fmt"
	"os"

	"github.com/gpumeter/gpumeter/schemas/reference"
)

func main() {
	os.Exit(run())
}

func run() int {
	page, err := reference.Page("..")
	if err == nil {
		err = os.WriteFile("../../docs/schemas.md", []byte(page), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		return 1
	}
	return 0
}
