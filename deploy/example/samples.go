package example

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"time"
)

// A reading is what a GPU says every minute from one instant to another.
type reading struct {
	node     string
	gpus     []string
	from, to string // HH:MM of the night; 24:00 is midnight, 28:00 its end
	util     float64
	smActive float64
	gib      float64 // memory in use
}

// readings are the samples of the night. Where none speaks, time is unknown.
func readings() []reading {
	four, rest := []string{"g0", "g1", "g2", "g3"}, []string{"g2"}
	return []reading{
		{"alps-1", four, "20:00", "20:30", 0, 0, 0},
		{"alps-2", four, "20:00", "20:30", 0, 0, 0},
		{"alps-1", four, "20:30", "22:00", 0.97, 0.62, 71},
		{"alps-2", four[:2], "20:30", "22:00", 0.97, 0.62, 71},
		{"alps-1", four, "22:00", "22:25", 0, 0, 71}, // the storage does not deliver
		{"alps-2", four[:2], "22:00", "22:25", 0, 0, 71},
		{"alps-1", four, "22:25", "26:00", 0.96, 0.60, 71},
		{"alps-2", four[:2], "22:25", "26:00", 0.96, 0.60, 71},
		{"alps-1", four, "26:00", "28:00", 0, 0, 0},
		{"alps-2", four[:2], "26:00", "28:00", 0, 0, 0},
		{"alps-2", rest, "20:30", "21:00", 0, 0, 0},
		{"alps-2", rest, "21:00", "22:00", 0.71, 0.35, 40},
		{"alps-2", rest, "22:00", "28:00", 0, 0, 0},
		{"alps-2", four[3:], "20:30", "25:00", 0.88, 0.41, 55},
		{"alps-2", four[3:], "25:00", "28:00", 0, 0, 0},
		{"jura-1", four[:1], "20:00", "21:00", 0, 0, 0},
		{"jura-1", four[:1], "21:00", "21:20", 0.45, 0.20, 24},
		{"jura-1", four[:1], "21:20", "23:00", 0, 0, 24}, // the notebook keeps its memory
		{"jura-1", four[:1], "23:20", "28:00", 0, 0, 24}, // after the collector's outage
		{"jura-1", four[1:2], "20:00", "23:00", 0.30, 0.12, 30},
		{"jura-1", four[1:2], "23:20", "28:00", 0.12, 0.04, 30},
		{"jura-1", rest, "20:00", "20:30", 0, 0, 0},
		{"jura-1", rest, "20:30", "22:10", 0.80, 0.50, 33},
		{"jura-1", rest, "22:10", "23:00", 0, 0, 0.4}, // done, not released
		{"jura-1", rest, "23:20", "28:00", 0, 0, 0.4},
		{"jura-1", four[3:], "20:00", "23:00", 0, 0, 0},
		{"jura-1", four[3:], "23:20", "28:00", 0, 0, 0},
		{"jura-2", four[:1], "22:00", "26:00", 0.55, 0.30, 12},
	}
}

// refused are lines that the ledger must not take.
const refused = `{"ts":"2026-05-31T21:00:00Z","node":"jura-1","gpu":"g0","utilization":45}
{"ts":"2026-05-31T21:01:00Z","node":"jura-1","gpu":
`

// firstDay is the midnight before the night.
func firstDay() time.Time { return time.Date(2026, 5, 31, 0, 0, 0, 0, time.UTC) }

// at is the instant of HH:MM, where HH may be 24 and more.
func at(hhmm string) time.Time {
	var h, m int
	if _, err := fmt.Sscanf(hhmm, "%d:%d", &h, &m); err != nil {
		panic(fmt.Sprintf("example: %q is not HH:MM: %v", hhmm, err)) // a bug of this package, found by any test
	}
	return firstDay().Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
}

// writeSamples writes samples.ndjson.
func writeSamples(path string) (err error) {
	f, err := os.Create(path) //nolint:gosec // the caller names the directory
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for _, r := range readings() {
		for ts := at(r.from).Add(time.Minute); !ts.After(at(r.to)); ts = ts.Add(time.Minute) {
			for _, gpu := range r.gpus {
				fmt.Fprintf(w, `{"ts":%d,"node":%q,"gpu":%q,"interval_seconds":60,"utilization":%g,"sm_active":%g,"memory_used_bytes":%.0f}`+"\n",
					ts.UnixMilli(), r.node, gpu, r.util, r.smActive, r.gib*(1<<30))
			}
		}
	}
	fmt.Fprint(w, refused)
	return w.Flush()
}
