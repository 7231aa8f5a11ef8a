// Command generate writes the files of Grafana's provisioning. go generate runs
// it in the folder of package grafana.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gpumeter/gpumeter/deploy/grafana"
)

func main() {
	os.Exit(run())
}

func run() int {
	files, err := grafana.Files()
	for name, text := range files {
		if err == nil {
			err = os.MkdirAll(filepath.Dir(name), 0o755)
		}
		if err == nil {
			err = os.WriteFile(name, text, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		return 1
	}
	return 0
}
