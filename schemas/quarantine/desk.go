package quarantine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A Place is where a record stands.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
}

// PlaceOf is the place of a record.
func PlaceOf(rec *kgo.Record) Place { return Place{rec.Topic, rec.Partition, rec.Offset} }

// String names the place as people look it up.
func (p Place) String() string {
	return fmt.Sprintf("topic %s partition %d offset %d", p.Topic, p.Partition, p.Offset)
}

// What a note says.
const (
	resting = "rest" // nobody's fault if the process dies now
	turning = "turn" // working on several records at once
	reading = "read" // working on one
)

// A desk is the file with the note of one goroutine:
//
//	WHAT CAREFUL TOPIC PARTITION OFFSET, padded to noteBytes
//	DEATHS TOPIC PARTITION OFFSET         one line for each record that was read when the process died
//
// The note is written in one piece into the page cache: it survives the process,
// whatever kills it, and no machine.
type desk struct {
	file    *os.File
	note    [noteBytes]byte
	what    string
	now     Place
	careful int // turns that are still to be of one record
	deaths  map[Place]int
}

const (
	noteBytes = 512 // a topic's name has 249 bytes at most
	desks     = 64  // processes that may share a directory
	// killsAfter is how often the process has to die at one record.
	killsAfter = 2
	// carefulTurns is how many turns of one record follow a death in a turn of
	// several: more than that turn had, since records of other partitions may come
	// first this time. Seconds of slower work, after a death that may be chance.
	carefulTurns = 500
)

// openDesk takes the first desk of this name that no other process sits at, and
// counts the death that its note tells of.
func openDesk(dir, name string) (*desk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("quarantine: the directory of the note: %w", err)
	}
	for i := range desks {
		file, err := os.OpenFile(filepath.Join(dir, name+"."+strconv.Itoa(i)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("quarantine: the note: %w", err)
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return sit(file)
		}
		if closed := file.Close(); !errors.Is(err, syscall.EWOULDBLOCK) || closed != nil {
			return nil, errors.Join(fmt.Errorf("quarantine: lock %s: %w", file.Name(), err), closed)
		}
	}
	return nil, fmt.Errorf("quarantine: %d processes have notes of %s in %s: give each host a directory of its own", desks, name, dir)
}

func sit(file *os.File) (*desk, error) {
	text, err := os.ReadFile(file.Name())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("quarantine: read the note: %w", err), file.Close())
	}
	d := &desk{file: file, what: resting, deaths: parseDeaths(text)}
	what, careful, place := parseNote(text)
	d.careful = careful
	if what == reading {
		d.deaths[place]++
	}
	if err := d.keepDeaths(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return d, d.write()
}

// parseNote reads the first line; what it cannot read is no note.
func parseNote(text []byte) (what string, careful int, place Place) {
	words := strings.Fields(string(text[:min(len(text), noteBytes)]))
	if len(words) < 2 {
		return resting, 0, place
	}
	careful, err := strconv.Atoi(words[1])
	if err != nil || careful < 0 {
		return resting, 0, place
	}
	if words[0] != reading {
		return words[0], careful, place
	}
	place, ok := parsePlace(words[2:])
	if !ok {
		return resting, careful, place
	}
	return reading, careful, place
}

func parseDeaths(text []byte) map[Place]int {
	deaths := map[Place]int{}
	for line := range bytes.Lines(text[min(len(text), noteBytes):]) {
		words := strings.Fields(string(line))
		if len(words) != 4 {
			continue
		}
		n, err := strconv.Atoi(words[0])
		if place, ok := parsePlace(words[1:]); ok && err == nil && n > 0 {
			deaths[place] = n
		}
	}
	return deaths
}

func parsePlace(words []string) (p Place, ok bool) {
	if len(words) != 3 {
		return p, false
	}
	partition, err1 := strconv.ParseInt(words[1], 10, 32)
	offset, err2 := strconv.ParseInt(words[2], 10, 64)
	return Place{words[0], int32(partition), offset}, err1 == nil && err2 == nil && partition >= 0 && offset >= 0
}

// say writes a note if it is another one. What was read until now has killed
// nobody.
func (d *desk) say(what string, place Place) error {
	if d.what == what && d.now == place {
		return nil
	}
	if d.what == reading && d.deaths[d.now] > 0 {
		if err := d.forget(d.now); err != nil {
			return err
		}
	}
	d.what, d.now = what, place
	return d.write()
}

func (d *desk) write() error {
	b := append(d.note[:0], d.what...)
	b = strconv.AppendInt(append(b, ' '), int64(d.careful), 10)
	if d.what == reading {
		b = append(append(b, ' '), d.now.Topic...)
		b = strconv.AppendInt(append(b, ' '), int64(d.now.Partition), 10)
		b = strconv.AppendInt(append(b, ' '), d.now.Offset, 10)
	}
	for i := len(b); i < noteBytes-1; i++ {
		d.note[i] = ' '
	}
	d.note[noteBytes-1] = '\n'
	if _, err := d.file.WriteAt(d.note[:], 0); err != nil {
		return fmt.Errorf("quarantine: write the note: %w", err)
	}
	return nil
}

func (d *desk) forget(place Place) error {
	delete(d.deaths, place)
	return d.keepDeaths()
}

// keepDeaths writes the lines below the note.
func (d *desk) keepDeaths() error {
	var b bytes.Buffer
	for p, n := range d.deaths {
		fmt.Fprintf(&b, "%d %s %d %d\n", n, p.Topic, p.Partition, p.Offset)
	}
	if err := d.file.Truncate(noteBytes); err != nil {
		return fmt.Errorf("quarantine: write the note: %w", err)
	}
	if _, err := d.file.WriteAt(b.Bytes(), noteBytes); err != nil {
		return fmt.Errorf("quarantine: write the note: %w", err)
	}
	return nil
}

// killers are the records that were read at two deaths.
func (d *desk) killers() []Place {
	var all []Place
	for p, n := range d.deaths {
		if n >= killsAfter {
			all = append(all, p)
		}
	}
	return all
}

func (d *desk) leave() error {
	return errors.Join(d.say(resting, Place{}), d.file.Close())
}
