package owners

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gpumeter/gpumeter/schemas"
)

// Times of the state file, in milliseconds.
const (
	repeated  = 10 * 60_000 // for this long after its end an allocation is said again at a restart
	heartbeat = 60_000      // it is written this often though nothing happened: what was seen last
)

// A journal is what the state file holds: all that a restart must know.
type journal struct {
	Node  string    `json:"node"`
	Boot  string    `json:"boot"`
	Seen  int64     `json:"seen"` // newest observation, Unix ms
	Open  []record  `json:"open,omitempty"`
	Ended []record  `json:"ended,omitempty"`
	Loose []pidNote `json:"loose,omitempty"` // alive, once on a GPU, now in no hold
}

// A record is one allocation with the events that were said of it, as they were.
type record struct {
	Group     string              `json:"group"`
	Grants    bool                `json:"grants,omitempty"`
	Start     schemas.Allocation  `json:"start"`
	Update    *schemas.Allocation `json:"update,omitempty"` // the newest
	End       *schemas.Allocation `json:"end,omitempty"`
	Processes []pidNote           `json:"processes,omitempty"`
	Roots     []key               `json:"roots,omitempty"`
}

// A pidNote is one living process.
type pidNote struct {
	key
	Born  int64            `json:"born"`
	Holds int              `json:"holds"`
	GPUs  []schemas.GPURef `json:"gpus,omitempty"`
}

// events of an allocation, in order.
func (r record) events() []schemas.Allocation {
	events := []schemas.Allocation{r.Start}
	if r.Update != nil {
		events = append(events, *r.Update)
	}
	if r.End != nil {
		events = append(events, *r.End)
	}
	return events
}

// maxJournal is the longest state file that is read: some thousands of processes.
const maxJournal = 64 << 20

// readJournal reads the state file. A file that is not there is an empty one.
func readJournal(path string) (j journal, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return journal{}, nil
	}
	if err == nil {
		defer func() { _ = file.Close() }() // nothing was written
		// A longer one is cut, and then is no JSON.
		err = json.NewDecoder(io.LimitReader(file, maxJournal)).Decode(&j)
	}
	if err != nil {
		return journal{}, fmt.Errorf("owners.state: %w", err)
	}
	return j, nil
}

// write replaces the file at once, or leaves it as it was. It is not forced to
// the disk: what a crash of the machine takes, its restart finds gone anyway.
func (j journal) write(path string) error {
	text, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("owners.state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".owners-*")
	if err != nil {
		return fmt.Errorf("owners.state: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("owners.state: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
