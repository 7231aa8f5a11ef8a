package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const positionName = "position"

// A place is what the position file remembers of one stream.
type place struct {
	Position uint64 `json:"position"` // seq of the first record that was not taken
	Next     uint64 `json:"next"`     // seq of the next record to be written
	Counts
}

// Counts are rows of one stream, since the directory was first used.
type Counts struct {
	Written int64 `json:"written"` // handed to the spool
	Taken   int64 `json:"taken"`   // taken out again
	Dropped int64 `json:"dropped"` // for want of room, or because the disk refused them
	Damaged int64 `json:"damaged"` // written, and unreadable or gone later
}

// Held is how many rows are in the spool.
func (c Counts) Held() int64 { return c.Written - c.Taken - c.Dropped - c.Damaged }

// encodePlaces gives JSON and its checksum, a line each.
func encodePlaces(places map[string]place) ([]byte, error) {
	text, err := json.Marshal(places)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(text, "\n%08x\n", checksum(0, text)), nil
}

// decodePlaces gives nil for what is damaged: then everything that is there is
// sent again, and the totals begin anew.
func decodePlaces(text []byte) map[string]place {
	line, sum, _ := bytes.Cut(text, []byte("\n"))
	if string(sum) != fmt.Sprintf("%08x\n", checksum(0, line)) {
		return nil
	}
	var places map[string]place
	if json.Unmarshal(line, &places) != nil {
		return nil
	}
	return places
}

// readPlaces reads the position file; found tells whether there is one.
func readPlaces(d disk, names []string) (places map[string]place, found bool, err error) {
	for _, name := range names {
		if name != positionName {
			continue
		}
		text, err := readAll(d, name)
		if err != nil {
			return nil, true, err
		}
		return decodePlaces(text), true, nil
	}
	return nil, false, nil
}

// readAll reads a whole file.
func readAll(d disk, name string) (text []byte, err error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	text = make([]byte, size)
	n, err := f.ReadAt(text, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return text[:n], err
}
