package spool

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const suffix = ".spool"

// A segment is one file of records.
type segment struct {
	name  string
	first uint64 // seq
	size  int64  // bytes
	rows  int64  // that it holds still
	out   file   // nil when nothing more is written to it
	dirty bool   // written since it was last forced to the disk
}

func segmentName(stream string, first uint64, before int64) string {
	return fmt.Sprintf("%s.%016x.%016x%s", stream, first, before, suffix)
}

// parseName takes the name of a segment apart; ok is false for other files.
func parseName(name string) (stream string, first uint64, before int64, ok bool) {
	stem, ours := strings.CutSuffix(name, suffix)
	parts := strings.Split(stem, ".")
	if !ours || len(parts) != 3 {
		return "", 0, 0, false
	}
	first, err1 := strconv.ParseUint(parts[1], 16, 64)
	rows, err2 := strconv.ParseInt(parts[2], 16, 64)
	return parts[0], first, rows, err1 == nil && err2 == nil
}

// A cursor walks over the records of a segment, past what is damaged.
type cursor struct {
	in   file
	size int64 // of the file
	salt uint32
	at   int64  // of the next record
	next uint64 // least seq that it may have
	head [headerSize]byte
	cut  header // a last record that is not all there
}

// header finds the next record whose header checks and that is all there, and
// puts the cursor on it. At the end it gives io.EOF.
func (c *cursor) header() (header, error) {
	for c.at < c.size {
		n, err := c.in.ReadAt(c.head[:min(headerSize, c.size-c.at)], c.at)
		if err != nil && !errors.Is(err, io.EOF) {
			return header{}, err
		}
		h, ok := parse(c.head[:n], c.salt)
		switch {
		case ok && h.seq >= c.next && c.at+h.size() <= c.size:
			return h, nil
		case ok && h.seq >= c.next:
			c.cut = h
		}
		if err := c.resume(); err != nil {
			return header{}, err
		}
	}
	return header{}, io.EOF
}

// resume goes past a damaged place. It reads the rest of the file at once: that
// is at most one segment, and rare.
func (c *cursor) resume() error {
	rest := make([]byte, c.size-c.at-1)
	n, err := c.in.ReadAt(rest, c.at+1)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.at += 1 + int64(resume(rest[:n], c.salt))
	if n < len(rest) {
		c.size = c.at // shorter than it was: there is no more
	}
	return nil
}

// record reads what stands behind h, where the cursor is; ok is false when it does
// not agree with its sum.
func (c *cursor) record(h header) (data []byte, ok bool, err error) {
	data = make([]byte, h.length)
	n, err := c.in.ReadAt(data, c.at+headerSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	return data, n == len(data) && checksum(0, data) == h.sum, nil
}

// pass goes behind the record with header h.
func (c *cursor) pass(h header) { c.at, c.next = c.at+h.size(), h.seq+1 }
