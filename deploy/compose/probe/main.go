// Command probe is the health check of images that have no shell: it asks one URL
// and ends with 0 when the answer is 200 OK, else with 1 and the reason.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// patience is how long an answer is waited for.
const patience = 3 * time.Second

func main() {
	if err := probe(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func probe(args []string) error {
	if len(args) != 1 {
		return errors.New("one URL is wanted")
	}
	client := http.Client{Timeout: patience}
	response, err := client.Get(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	why, _ := io.ReadAll(io.LimitReader(response.Body, 1000)) // the status says enough without it
	return fmt.Errorf("%s: %s: %s", args[0], response.Status, strings.TrimSpace(string(why)))
}
