package spool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// streams of the tests, the most dispensable first.
func streams() []string { return []string{"low", "high"} }

func mustOpen(t rapid.TB, d disk, limit, segment int64) *Spool {
	t.Helper()
	s, err := open(d, limit, segment, streams())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put appends record id, which has id%5+1 rows and some bytes.
func put(t rapid.TB, s *Spool, stream string, id int) {
	t.Helper()
	if err := s.Append(stream, rowsOf(id), record(id)); err != nil {
		t.Fatal(err)
	}
}

func rowsOf(id int) int { return id%5 + 1 }

func record(id int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(id))
	return append(b, bytes.Repeat([]byte{byte(id)}, id%23)...)
}

func idOf(t rapid.TB, r Record) int {
	t.Helper()
	id := int(binary.LittleEndian.Uint32(r.Data))
	if !bytes.Equal(r.Data, record(id)) || r.Rows != rowsOf(id) {
		t.Fatalf("record %d came out as %d rows, %x", id, r.Rows, r.Data)
	}
	return id
}

// drain takes everything out, as "stream id".
func drain(t rapid.TB, s *Spool, limit int) (ids []string) {
	t.Helper()
	for {
		c := s.Next(limit)
		if len(c.Records) == 0 {
			return ids
		}
		for _, r := range c.Records {
			ids = append(ids, fmt.Sprintf("%s %d", c.Stream, idOf(t, r)))
		}
		s.Done(c)
	}
}

func names(stream string, ids ...int) (all []string) {
	for _, id := range ids {
		all = append(all, fmt.Sprintf("%s %d", stream, id))
	}
	return all
}

func TestOldestFirstAndTheLeastDispensableStreamFirst(t *testing.T) {
	for _, limit := range []int{0, 50, 1 << 20} {
		s := mustOpen(t, newMemory(), 1<<20, 200)
		for id := range 20 {
			put(t, s, streams()[id%2], id)
		}
		want := append(names("high", 1, 3, 5, 7, 9, 11, 13, 15, 17, 19), names("low", 0, 2, 4, 6, 8, 10, 12, 14, 16, 18)...)
		if got := drain(t, s, limit); !slices.Equal(got, want) {
			t.Errorf("limit %d\ngot  %v\nwant %v", limit, got, want)
		}
		if c := s.Counts()["low"]; c != (Counts{Written: 30, Taken: 30}) || !s.Empty() || s.Bytes() != 0 {
			t.Errorf("limit %d: %+v, %d bytes", limit, c, s.Bytes())
		}
	}
}

func TestWhatIsNotDoneComesAgain(t *testing.T) {
	m := newMemory()
	s := mustOpen(t, m, 1<<20, 1<<10)
	for id := range 5 {
		put(t, s, "low", id)
	}
	first := s.Next(0)
	if again := s.Next(0); !slices.EqualFunc(again.Records, first.Records, func(a, b Record) bool { return bytes.Equal(a.Data, b.Data) }) {
		t.Errorf("got %v, then %v", first, again)
	}
	s.Done(first)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, mustOpen(t, m, 1<<20, 1<<10), 1000); !slices.Equal(got, names("low", 1, 2, 3, 4)) {
		t.Errorf("after a restart: %v", got)
	}
}

// small is a closed spool of ten records in two streams and several segments,
// the first of them taken.
func small(t *testing.T) *memory {
	m := newMemory()
	s := mustOpen(t, m, 1<<20, 150)
	for id := range 10 {
		put(t, s, streams()[id%2], id)
	}
	s.Done(s.Next(0)) // high 1
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

// A spot is where a record lies.
type spot struct {
	file       string
	begin, end int
	id         int
	stream     string
}

// spots finds the records of a spool that is not damaged.
func spots(t *testing.T, m *memory) (all []spot) {
	for name, f := range m.files {
		stream, first, _, ok := parseName(name)
		if !ok {
			continue
		}
		c := cursor{in: &handle{m, f}, size: int64(len(f.data)), salt: checksum(0, []byte(stream)), next: first}
		for {
			h, err := c.header()
			if err != nil {
				break
			}
			data, _, _ := c.record(h)
			at := int(c.at)
			c.pass(h)
			all = append(all, spot{name, at, int(c.at), idOf(t, Record{int(h.rows), data}), stream})
		}
	}
	if len(all) < 9 {
		t.Fatalf("%d records found", len(all))
	}
	return all
}

// survivors opens a damaged spool and checks that exactly the records but lost are
// there, that the lost rows are counted, and that it goes on to work.
func survivors(t *testing.T, m *memory, place string, lost []spot, counted bool) {
	t.Helper()
	s := mustOpen(t, m, 1<<20, 150)
	got := drain(t, s, 100)
	var want []string
	rows := map[string]int64{}
	for _, p := range lost {
		rows[p.stream] += int64(rowsOf(p.id))
	}
	for _, id := range []int{3, 5, 7, 9, 0, 2, 4, 6, 8} {
		name := names(streams()[id%2], id)[0]
		if !slices.ContainsFunc(lost, func(p spot) bool { return p.id == id }) {
			want = append(want, name)
		}
	}
	got = slices.DeleteFunc(got, func(name string) bool { return name == "high 1" && !counted }) // without position it comes again
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got  %v, want %v", place, got, want)
	}
	for stream, c := range s.Counts() {
		if left := s.Left()[stream]; counted && left.Held() != c.Taken-left.Taken+rows[stream] {
			t.Fatalf("%s: %s had left %+v, of which it took %d", place, stream, left, c.Taken-left.Taken)
		}
		if c.Held() != 0 || counted && c.Damaged != rows[stream] {
			t.Fatalf("%s: %s %+v, want %d damaged", place, stream, c, rows[stream])
		}
	}
	put(t, s, "low", 99)
	if got := drain(t, s, 100); !slices.Equal(got, names("low", 99)) {
		t.Fatalf("%s: then %v", place, got)
	}
}

// TestDamageTakesOneRecord flips every byte of every segment, with the position
// file and without.
func TestDamageTakesOneRecord(t *testing.T) {
	original := small(t)
	tried := 0
	for _, p := range spots(t, original) {
		if p.id == 1 {
			continue // it is taken
		}
		for at := p.begin; at < p.end; at++ {
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				for _, position := range []bool{true, false} {
					m := original.crashed(true)
					m.files[p.file].data[at] ^= flip
					if !position {
						delete(m.files, positionName)
					}
					survivors(t, m, fmt.Sprintf("%s byte %d ^ %02x, position %v", p.file, at, flip, position), []spot{p}, position)
					tried++
				}
			}
		}
	}
	t.Logf("%d flips", tried)
}

// TestCutTakesTheRest cuts every segment at every byte.
func TestCutTakesTheRest(t *testing.T) {
	original := small(t)
	all := spots(t, original)
	tried := 0
	for name, f := range original.files {
		if _, _, _, ok := parseName(name); !ok {
			continue
		}
		for size := range len(f.data) {
			m := original.crashed(true)
			m.files[name].data = m.files[name].data[:size]
			lost := slices.DeleteFunc(slices.Clone(all), func(p spot) bool { return p.file != name || p.end <= size || p.id == 1 })
			survivors(t, m, fmt.Sprintf("%s cut at %d", name, size), lost, true)
			tried++
		}
	}
	t.Logf("%d cuts", tried)
}

// TestACutRecordIsCounted though nothing but its header tells of it.
func TestACutRecordIsCounted(t *testing.T) {
	m := newMemory()
	s := mustOpen(t, m, 1<<20, 1<<20)
	put(t, s, "low", 1)
	put(t, s, "low", 2)
	for _, f := range m.files { // one segment; the position was never written
		f.data = f.data[:len(f.data)-1]
	}
	s = mustOpen(t, m, 1<<20, 1<<20)
	if c := s.Counts()["low"]; c.Damaged != int64(rowsOf(2)) || c.Held() != int64(rowsOf(1)) {
		t.Errorf("%+v", c)
	}
}

// TestPassedDamageIsPassed over a restart.
func TestPassedDamageIsPassed(t *testing.T) {
	m := newMemory()
	s := mustOpen(t, m, 1<<20, 1<<20)
	put(t, s, "low", 1)
	put(t, s, "low", 2)
	for _, f := range m.files {
		f.data[headerSize] ^= 1
	}
	s.Next(0)
	before := s.Counts()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = mustOpen(t, m, 1<<20, 1<<20); !maps.Equal(s.Counts(), before) || before["low"].Damaged != int64(rowsOf(1)) || s.Left()["low"] != before["low"] {
		t.Errorf("%+v, then %+v", before, s.Counts())
	}
}

func TestADamagedPositionSendsEverythingAgain(t *testing.T) {
	original := small(t)
	for at := range original.files[positionName].data {
		m := original.crashed(true)
		m.files[positionName].data[at] ^= 0x01
		s := mustOpen(t, m, 1<<20, 150)
		if s.Faults().Count != 1 || !strings.Contains(s.Faults().Last.Error(), "position is damaged") {
			t.Fatalf("byte %d: %+v", at, s.Faults())
		}
		if got := drain(t, s, 100); len(got) < 9 {
			t.Fatalf("byte %d: %v", at, got)
		}
		if c := s.Counts()["high"]; c.Held() != 0 || c.Damaged != 0 {
			t.Fatalf("byte %d: %+v", at, c)
		}
	}
}

// TestARecordThatLooksLikeRecords: what is inside a record is not taken for one.
func TestARecordThatLooksLikeRecords(t *testing.T) {
	m := newMemory()
	s := mustOpen(t, m, 1<<20, 1<<20)
	put(t, s, "low", 1)
	right := header{length: 1, seq: 9, rows: 7, sum: checksum(0, []byte("x"))}
	old, wrong := right, right
	old.seq, wrong.sum = 1, 1
	low, high := checksum(0, []byte("low")), checksum(0, []byte("high"))
	forged := append(right.append(nil, high), 'x') // of another stream
	forged = append(old.append(forged, low), 'x')
	forged = append(wrong.append(forged, low), 'x')
	if err := s.Append("low", 1, append([]byte(magic+magic), forged...)); err != nil {
		t.Fatal(err)
	}
	put(t, s, "low", 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, f := range m.files {
		if name != positionName {
			f.data[headerSize+len(record(1))] ^= 1 // the forger's header
		}
	}
	s = mustOpen(t, m, 1<<20, 1<<20)
	if got := drain(t, s, 1000); !slices.Equal(got, names("low", 1, 2)) || s.Counts()["low"].Damaged != 1 {
		t.Errorf("got %v, %+v", got, s.Counts())
	}
}

// TestCrashAtEveryWrite lets the machine crash at each call that changes the disk,
// in three ways: nothing that was not forced to the disk is there, everything is,
// and everything with the last write cut.
func TestCrashAtEveryWrite(t *testing.T) {
	type journal struct{ safe, taken, known []string } // synced before the crash; Done; Done when the position was last written
	script := func(s *Spool, d *memory, j *journal) {
		var unsynced []string
		for id := range 40 {
			stream := streams()[id%2]
			if s.Append(stream, rowsOf(id), record(id)) == nil {
				unsynced = append(unsynced, names(stream, id)...)
			}
			if id%3 == 2 {
				s.Sync()
				if d.crashAt == 0 || d.ops < d.crashAt {
					j.safe, unsynced = append(j.safe, unsynced...), nil
					j.known = slices.Clone(j.taken)
				}
			}
			if id%7 == 6 {
				c := s.Next(60)
				for _, r := range c.Records {
					j.taken = append(j.taken, names(c.Stream, idOf(t, r))...)
				}
				if len(c.Records) > 0 {
					s.Done(c)
				}
			}
		}
	}
	whole := newMemory()
	script(mustOpen(t, whole, 1<<20, 150), whole, &journal{})
	if whole.ops < 100 {
		t.Fatalf("the script makes %d calls", whole.ops)
	}
	for k := 1; k <= whole.ops; k++ {
		for _, way := range []struct {
			all  bool
			torn int
		}{{false, 0}, {true, 0}, {true, 20}, {true, 40}} {
			m, j := newMemory(), journal{}
			m.crashAt, m.torn = k, way.torn
			script(mustOpen(t, m, 1<<20, 150), m, &j)
			s := mustOpen(t, m.crashed(way.all), 1<<20, 150)
			put(t, s, "low", 1000)
			got := drain(t, s, 100)
			place := fmt.Sprintf("crash at call %d, all %v, torn %d", k, way.all, way.torn)
			for _, id := range j.safe {
				if !slices.Contains(got, id) && !slices.Contains(j.taken, id) {
					t.Fatalf("%s: %s was on the disk and is gone", place, id)
				}
			}
			for i, id := range got {
				if slices.Contains(j.known, id) || slices.Contains(got[:i], id) {
					t.Fatalf("%s: %s comes again", place, id)
				}
			}
			if !slices.Contains(got, "low 1000") {
				t.Fatalf("%s: it does not work afterwards", place)
			}
			for stream, c := range s.Counts() {
				if c.Held() != 0 {
					t.Fatalf("%s: %s %+v", place, stream, c)
				}
			}
		}
	}
	t.Logf("%d calls", whole.ops)
}

func TestFullDropsTheOldestOfTheMostDispensable(t *testing.T) {
	m := newMemory()
	s := mustOpen(t, m, 2000, 200)
	for id := range 10 {
		put(t, s, "high", id)
	}
	for id := range 300 {
		put(t, s, "low", id)
		if s.Bytes() > 2000 || m.used() > 2000+500 {
			t.Fatalf("%d bytes, %d on the disk", s.Bytes(), m.used())
		}
	}
	low := s.Counts()["low"]
	if low.Dropped == 0 || s.Counts()["high"].Dropped != 0 {
		t.Fatalf("%+v", s.Counts())
	}
	lent := s.Next(0) // high 0: its segment stays, though its stream must make room now
	for id := 10; id < 300; id++ {
		put(t, s, "high", id)
	}
	if c := s.Counts()["low"]; c.Held() != 0 || c.Written != low.Written {
		t.Errorf("the dispensable stream still has %+v", c)
	}
	if err := s.Append("low", 3, make([]byte, 250)); err == nil || s.Counts()["low"].Dropped != low.Written+3 {
		t.Errorf("%v: %+v: what is dispensable was put in the place of what is not", err, s.Counts()["low"])
	}
	s.Done(lent)
	held := s.Counts()["high"].Held()
	got := drain(t, s, 100)
	if got[len(got)-1] != "high 299" || s.Counts()["high"].Taken != held+int64(rowsOf(0)) {
		t.Errorf("%v, %+v", got, s.Counts())
	}
}

func TestADiskThatIsFullOrRefuses(t *testing.T) {
	m := newMemory()
	m.room = 1500
	s := mustOpen(t, m, 1<<20, 200)
	for id := range 300 {
		_ = s.Append("low", rowsOf(id), record(id)) // either is counted
		if m.used() > m.room {
			t.Fatalf("%d bytes on a disk of %d", m.used(), m.room)
		}
	}
	c := s.Counts()["low"]
	if c.Held() == 0 || c.Dropped == 0 || s.Faults().Count == 0 {
		t.Errorf("%+v, %+v", c, s.Faults())
	}
	if n := int64(m.used() - len(m.files[positionName].text())); n > s.Bytes() {
		t.Errorf("%d bytes on the disk, %d in the spool: what was half written is still there", n, s.Bytes())
	}
	m.room, m.refuse = 0, syscall.EIO
	held := c.Held()
	for id := range 10 {
		if s.Append("low", 1, record(id)) == nil {
			t.Error("a disk that refuses took a record")
		}
	}
	if got := s.Counts()["low"]; got.Dropped != c.Dropped+10 || got.Held() != held {
		t.Errorf("%+v after %+v", got, c)
	}
	m.refuse = nil
	put(t, s, "low", 7)
	rows := s.Counts()["low"].Held()
	drain(t, s, 100)
	if got := s.Counts()["low"]; got.Held() != 0 || got.Damaged != 0 || got.Taken != rows {
		t.Errorf("%+v, want %d rows taken", got, rows)
	}
}

// TestTheSumsAreRight: written = taken + dropped + damaged + held at every step of
// any use, restarts among them, held as the reader finds it.
func TestTheSumsAreRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory()
		s := mustOpen(t, m, 1500, 200)
		written, taken := map[string]int64{}, map[string]int64{}
		dropped := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				stream, id := rapid.SampledFrom(streams()).Draw(t, "stream"), rapid.IntRange(0, 999).Draw(t, "id")
				if s.Append(stream, rowsOf(id), record(id)) != nil && m.room == 0 && stream == "high" {
					t.Fatal("dropped before what is dispensable")
				}
				written[stream] += int64(rowsOf(id))
			},
			"take": func(t *rapid.T) {
				c := s.Next(rapid.IntRange(0, 300).Draw(t, "limit"))
				if len(c.Records) > 0 && rapid.Bool().Draw(t, "done") {
					s.Done(c)
					taken[c.Stream] += c.Rows()
				}
			},
			"disk": func(t *rapid.T) { m.room = rapid.SampledFrom([]int{0, 800}).Draw(t, "room") },
			"sync": func(*rapid.T) { s.Sync() },
			"restart": func(t *rapid.T) {
				m.room = 0
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				before := s.Counts()
				if s = mustOpen(t, m, 1500, 200); !maps.Equal(s.Counts(), before) {
					t.Fatalf("%+v after %+v", s.Counts(), before)
				}
			},
			"": func(t *rapid.T) {
				now := int64(0)
				for stream, c := range s.Counts() {
					now += c.Dropped
					rows := int64(0)
					for _, q := range s.queues {
						for _, segment := range q.segments {
							if q.stream == stream {
								rows += segment.rows
							}
						}
					}
					if c.Written != written[stream] || c.Taken != taken[stream] || c.Damaged != 0 || c.Held() != rows {
						t.Fatalf("%s: %+v, wrote %d, took %d, its segments hold %d", stream, c, written[stream], taken[stream], rows)
					}
				}
				if now < dropped {
					t.Fatalf("%d dropped, before %d", now, dropped)
				}
				dropped = now
			},
		})
		drain(t, s, 100)
		for stream, c := range s.Counts() {
			if c.Held() != 0 {
				t.Fatalf("%s: %+v when all is taken", stream, c)
			}
		}
	})
}

// FuzzOpen: whatever a segment holds, the spool opens, gives what agrees with its
// sum, adds up, and goes on.
func FuzzOpen(f *testing.F) {
	m := newMemory()
	s, err := open(m, 1<<20, 1<<20, streams())
	if err != nil {
		f.Fatal(err)
	}
	for id := range 5 {
		if err := s.Append("low", rowsOf(id), record(id)); err != nil {
			f.Fatal(err)
		}
	}
	for _, file := range m.files {
		f.Add(file.data, false)
		f.Add(file.data[:len(file.data)-1], true)
		f.Add(file.data[headerSize:], true)
	}
	f.Fuzz(func(t *testing.T, data []byte, position bool) {
		m := newMemory()
		if position {
			text, err := encodePlaces(map[string]place{"low": {Position: 2, Next: 4, Counts: Counts{Written: 9, Taken: 1}}})
			if err != nil {
				t.Fatal(err)
			}
			m.put(positionName, text)
		}
		m.put(segmentName("low", 1, 0), data)
		s := mustOpen(t, m, 1<<20, 150)
		for c := s.Next(100); len(c.Records) > 0; c = s.Next(100) {
			s.Done(c)
		}
		if c := s.Counts()["low"]; c.Held() != 0 || c.Damaged < 0 {
			t.Errorf("%+v", c)
		}
		put(t, s, "low", 99)
		if got := drain(t, s, 100); !slices.Equal(got, names("low", 99)) {
			t.Errorf("then %v", got)
		}
	})
}

func TestADirectoryIsOneCollectors(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Dir = filepath.Join(t.TempDir(), "spool")
	s, err := Open(cfg, streams())
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "low", 3)
	if _, err := Open(cfg, streams()); err == nil || !strings.Contains(err.Error(), "give each collector a spool.dir of its own") {
		t.Errorf("a second one gets %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(cfg, streams())
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, s, 100); !slices.Equal(got, names("low", 3)) {
		t.Errorf("the next one finds %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(cfg, []string{"other"}); err != nil {
		t.Fatalf("an empty spool of other streams: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownStreamsAreNotForgotten(t *testing.T) {
	m := newMemory()
	put(t, mustOpen(t, m, 1<<20, 200), "low", 1)
	if _, err := open(m, 1<<20, 200, []string{"high"}); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("error is %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.Dir = "here" }, "spool.dir"},
		{func(c *Config) { c.Bytes = 1 << 20 }, "spool.bytes"},
		{func(c *Config) { c.Sync = 0 }, "spool.sync"},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		if err := cfg.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", cfg, err, c.want)
		}
	}
}
