// Package settings keeps, beside a ledger, the rules that it was made with, so
// that whoever verifies it or adds to it judges by the same. It holds only what
// changes the meaning of rows; how and when they are computed is nobody's
// business afterwards.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// kept are the rules that change what a row says.
type kept struct {
	Window time.Duration    `koanf:"window"`
	Idle   processor.Idle   `koanf:"idle"`
	Ledger processor.Ledger `koanf:"ledger"`
}

// File is where a data directory has its settings: a YAML file for the base of
// service.Sources.
func File(data string) string { return filepath.Join(data, "settings.yaml") }

// Keep writes the rules of a new ledger. For one that has rules already it
// returns an error if they differ: half a ledger by other rules adds up to
// nothing.
func Keep(data string, rules processor.Rules) error {
	now := kept{Window: rules.Window, Idle: rules.Idle, Ledger: rules.Ledger}
	before := kept{}
	switch err := service.Load(&before, service.Sources{File: File(data)}); {
	case errors.Is(err, fs.ErrNotExist):
		return write(File(data), "The rules that this ledger was made with. Written once, by the first replay.", now)
	case err != nil:
		return fmt.Errorf("the ledger's settings: %w", err)
	case before == now:
		return nil
	}
	return fmt.Errorf("%s was made with %s, now %s are asked for: replay into another directory, or leave the settings as they are",
		data, oneLine(before), oneLine(now))
}

// write makes a YAML file of the keys of a struct.
func write(name, comment string, cfg any) error {
	var text strings.Builder
	fmt.Fprintf(&text, "# %s\n", comment)
	for _, key := range service.Keys(cfg) {
		if key.Default != "" { // none
			fmt.Fprintf(&text, "%s: %s\n", key.Name, key.Default)
		}
	}
	if err := replace(name, []byte(text.String())); err != nil {
		return fmt.Errorf("keep %s: %w", filepath.Base(name), err)
	}
	return nil
}

func oneLine(k kept) string {
	keys := service.Keys(k)
	parts := make([]string, 0, len(keys))
	for _, key := range keys {
		parts = append(parts, key.Name+"="+key.Default)
	}
	return strings.Join(parts, " ")
}
