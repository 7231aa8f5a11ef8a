package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gpumeter/gpumeter/schemas/service"
)

// Last is what the latest replay into a data directory did, for whoever verifies
// it: the ledger is a function of its horizon and the events before it.
type Last struct {
	Horizon int64 `koanf:"horizon"` // of the ledger, Unix ms; 0 = none
	Named   bool  `koanf:"named"`   // it was asked for; otherwise the events gave it
	At      int64 `koanf:"at"`      // time of the run, Unix ms: what is later by ten minutes was refused
}

func lastFile(data string) string { return filepath.Join(data, "last.yaml") }

// KeepLast notes what a replay did.
func KeepLast(data string, l Last) error {
	return write(lastFile(data), "What the latest replay did.", l)
}

// ReadLast gives what KeepLast noted, the zero value where there was no replay.
func ReadLast(data string) (l Last, err error) {
	err = service.Load(&l, service.Sources{File: lastFile(data)})
	if errors.Is(err, fs.ErrNotExist) {
		return Last{}, nil
	}
	if err != nil {
		return Last{}, fmt.Errorf("the latest replay: %w", err)
	}
	return l, nil
}

// replace writes a file in one step.
func replace(name string, text []byte) error {
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
