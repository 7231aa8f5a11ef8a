package generate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// Shuffle copies the input directory from to the directory to, with the lines of
// each file in an order drawn from seed. The header of a CSV file stays first.
// Files are read whole.
func Shuffle(from, to string, seed uint64) error {
	return rearrange(from, to, seed, func(r *rand.Rand, lines [][]byte) [][]byte {
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		return lines
	})
}

// Repeat copies from to to with percent of the lines of each file repeated,
// somewhere behind the first.
func Repeat(from, to string, percent int, seed uint64) error {
	return rearrange(from, to, seed, func(r *rand.Rand, lines [][]byte) [][]byte {
		var out, again [][]byte
		for _, l := range lines {
			out = append(out, l)
			if r.IntN(100) < percent {
				again = append(again, l)
			}
			if len(again) > 0 && r.IntN(100) < percent {
				out, again = append(out, again[0]), again[1:]
			}
		}
		return append(out, again...)
	})
}

// Delay copies from to to with percent of the lines moved behind as many of
// those that follow as lines says.
func Delay(from, to string, percent, by int, seed uint64) error {
	return rearrange(from, to, seed, func(r *rand.Rand, lines [][]byte) [][]byte {
		out := make([][]byte, 0, len(lines))
		due := map[int][][]byte{} // by how many lines have been seen
		for i, l := range lines {
			if r.IntN(100) < percent {
				due[i+by] = append(due[i+by], l)
			} else {
				out = append(out, l)
			}
			out = append(out, due[i]...)
		}
		for i := len(lines); i < len(lines)+by; i++ {
			out = append(out, due[i]...)
		}
		return out
	})
}

// rearrange copies the files of a directory through do.
func rearrange(from, to string, seed uint64, do func(*rand.Rand, [][]byte) [][]byte) error {
	if err := os.MkdirAll(to, 0o750); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	for _, name := range []string{"resources.ndjson", "prices.csv", "tags.csv", "allocations.ndjson", "processes.ndjson", "samples.ndjson"} {
		content, err := os.ReadFile(filepath.Join(from, name)) //nolint:gosec // the caller names the directory
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("generate: %w", err)
		}
		header, body := []byte(nil), content
		if strings.HasSuffix(name, ".csv") {
			end := bytes.IndexByte(content, '\n') + 1
			header, body = content[:end], content[end:]
		}
		if len(body) > 0 && body[len(body)-1] != '\n' {
			body = append(body, '\n')
		}
		r := rand.New(rand.NewPCG(seed, uint64(len(name)))) //nolint:gosec // the same seed must give the same order
		lines := do(r, bytes.SplitAfter(bytes.TrimSuffix(body, []byte("\n")), []byte("\n")))
		if err := writeLines(filepath.Join(to, name), header, lines); err != nil {
			return fmt.Errorf("generate: %w", err)
		}
	}
	return nil
}

func writeLines(path string, header []byte, lines [][]byte) error {
	_, err := writeFile(path, func(w *writer) {
		w.put(header)
		for _, l := range lines {
			w.put(l)
			if !bytes.HasSuffix(l, []byte("\n")) {
				w.put([]byte("\n"))
			}
		}
	})
	return err
}
