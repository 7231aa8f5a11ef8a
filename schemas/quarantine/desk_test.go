package quarantine

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sitAt(t *testing.T, dir string) *desk {
	t.Helper()
	d, err := openDesk(dir, "g")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.file.Close() })
	return d
}

// die leaves the desk as a process that is killed does.
func (d *desk) die(t *testing.T) {
	t.Helper()
	if err := d.file.Close(); err != nil {
		t.Fatal(err)
	}
}

func (d *desk) must(t *testing.T, what string, at Place) {
	t.Helper()
	if err := d.say(what, at); err != nil {
		t.Fatal(err)
	}
}

// Two deaths at one record make a killer, unless somebody got past it between.
func TestDeathsAreCountedByRecord(t *testing.T) {
	a, b := Place{"t", 3, 17}, Place{"t", 4, 17}
	for _, c := range []struct {
		name  string
		lives [][]Place // what each process read; it died at the last
		want  []Place
	}{
		{"one death", [][]Place{{a}}, nil},
		{"two deaths", [][]Place{{a}, {a}}, []Place{a}},
		{"two records", [][]Place{{a}, {b}}, nil},
		{"after others", [][]Place{{b, a}, {b, a}}, []Place{a}},
		{"got past it", [][]Place{{a}, {a, b}, {a}}, nil},
		{"another between", [][]Place{{a}, {b}, {a}}, []Place{a}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, life := range c.lives {
				d := sitAt(t, dir)
				for _, p := range life {
					d.must(t, reading, p)
				}
				d.die(t)
			}
			got := sitAt(t, dir).killers()
			if len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
				t.Errorf("killers %v, want %v", got, c.want)
			}
		})
	}
}

// A process that rests, or stops in order, blames nobody.
func TestRestBlamesNobody(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		d := sitAt(t, dir)
		d.must(t, reading, Place{"t", 0, 1})
		d.must(t, resting, Place{})
		d.die(t)
	}
	d := sitAt(t, dir)
	d.must(t, reading, Place{"t", 0, 1})
	if err := d.leave(); err != nil {
		t.Fatal(err)
	}
	if d = sitAt(t, dir); len(d.deaths) != 0 {
		t.Errorf("deaths %v", d.deaths)
	}
}

// After a death in a turn of several records come turns of one, also when a
// death comes between.
func TestDeathInATurnMakesCareful(t *testing.T) {
	dir := t.TempDir()
	g := &Guard{desk: sitAt(t, dir)}
	g.Turn(1)
	if g.desk.what != resting || g.Careful() {
		t.Error("a turn of one record is noted as that record")
	}
	g.Turn(7)
	g.desk.die(t)
	g = &Guard{desk: sitAt(t, dir)}
	if g.desk.careful != carefulTurns {
		t.Fatalf("careful for %d turns", g.desk.careful)
	}
	for range 100 {
		g.At(Place{"t", 0, 1})
		g.Rest()
	}
	g.At(Place{"t", 0, 2})
	g.desk.die(t)
	if g = (&Guard{desk: sitAt(t, dir)}); g.desk.careful != carefulTurns-100 || g.desk.deaths[Place{"t", 0, 2}] != 1 {
		t.Errorf("careful for %d turns, deaths %v", g.desk.careful, g.desk.deaths)
	}
}

func TestProcessesShareADirectory(t *testing.T) {
	dir := t.TempDir()
	a, b := sitAt(t, dir), sitAt(t, dir)
	if a.file.Name() == b.file.Name() {
		t.Errorf("both at %s", a.file.Name())
	}
}

// A file of anything is no note and no death that was not there.
func FuzzNote(f *testing.F) {
	f.Add([]byte("read 0 gpumeter.samples 3 17"))
	f.Add([]byte("turn 500"))
	f.Add([]byte("rest 0" + strings.Repeat(" ", noteBytes-7) + "\n2 gpumeter.samples 3 17\n1 x 0 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		what, careful, place := parseNote(text)
		if careful < 0 || what == reading && (place.Offset < 0 || place.Partition < 0 || place.Topic == "") {
			t.Errorf("%q %d %v", what, careful, place)
		}
		for p, n := range parseDeaths(text) {
			if n < 1 || p.Offset < 0 || p.Partition < 0 {
				t.Errorf("%v: %d", p, n)
			}
		}
	})
}

// What a record costs.
func BenchmarkReading(b *testing.B) {
	d, err := openDesk(b.TempDir(), "g")
	if err != nil {
		b.Fatal(err)
	}
	g := &Guard{desk: d}
	for i := range b.N {
		g.At(Place{"gpumeter.samples", 3, int64(i)})
	}
	if err := g.Close(); err != nil {
		b.Fatal(err)
	}
}
