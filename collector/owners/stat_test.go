package owners

import (
	"strings"
	"testing"
)

// statLine is a line of /proc/PID/stat with the fields that are read.
func statLine(pid, comm, state, ppid, session, tty, threads, start, exit string) string {
	f := make([]string, 52)
	for i := range f {
		f[i] = "0"
	}
	f[0], f[1], f[2], f[3], f[5], f[6], f[19], f[21], f[51] = pid, "("+comm+")", state, ppid, session, tty, threads, start, exit
	return strings.Join(f, " ") + "\n"
}

func TestParseStat(t *testing.T) {
	for _, comm := range []string{"python", "my (odd) prog", ") R 1 2 3", "", "a\nb"} {
		got, err := parseStat(statLine("42", comm, "Z", "7", "40", "34816", "1", "482211", "256"))
		want := stat{comm: comm, state: 'Z', ppid: 7, session: 40, tty: 34816, threads: 1, start: 482211, exit: 256}
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", comm, got, err)
		}
	}
	if s, err := parseStat(strings.Join(strings.Fields(statLine("42", "x", "R", "7", "40", "0", "1", "5", "0"))[:30], " ")); err != nil || s.start != 5 {
		t.Errorf("the line of an old kernel: %+v, %v", s, err)
	}
	for _, bad := range []string{"", "42", "42 (x", "42 (x)", "42 x) S 1", "42 (x) S 1 2 3", statLine("1", "x", "SS", "0", "0", "0", "1", "5", "0"), statLine("1", "x", "S", "?", "0", "0", "1", "5", "0"), statLine("1", "x", "S", "0", "0", "0", "1", "-5", "0")} {
		if s, err := parseStat(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, s)
		}
	}
}

func TestDead(t *testing.T) {
	for _, c := range []struct {
		state, threads string
		dead           bool
	}{{"R", "1", false}, {"S", "9", false}, {"D", "1", false}, {"T", "1", false}, {"X", "1", true}, {"Z", "1", true}, {"Z", "9", false}} {
		s, err := parseStat(statLine("42", "x", c.state, "1", "1", "0", c.threads, "5", "0"))
		if err != nil || s.dead() != c.dead {
			t.Errorf("state %s with %s threads: dead %v, %v", c.state, c.threads, s.dead(), err)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(statLine("42", "python", "S", "1", "40", "34816", "8", "482211", "0"))
	f.Add("42 (")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseStat(text); err == nil && (s.state == 0 || !strings.Contains(text, s.comm)) {
			t.Errorf("%+v", s)
		}
	})
}

func TestRealUID(t *testing.T) {
	if uid, ok := realUID("Name:\tpython\nUid:\t1000\t0\t0\t0\nGid:\t1\n"); !ok || uid != 1000 {
		t.Errorf("uid %d", uid)
	}
	for _, bad := range []string{"", "Uid:", "Uid:\tx", "Gid:\t7"} {
		if uid, ok := realUID(bad); ok {
			t.Errorf("%q: uid %d", bad, uid)
		}
	}
}

func TestBootClock(t *testing.T) {
	const btime = 1_795_000_000_000
	exact, known := int64(btime+437), true
	file := int64(btime)
	c := &bootClock{btime: btime, exact: func() (int64, bool) { return exact, known }, again: func() (int64, bool) { return file, true }}
	check := func(what string, want int64) {
		t.Helper()
		if got := c.at(12_345); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	check("on this machine: to the tick", btime+440+123_450)
	exact++
	check("read a moment later", btime+440+123_450)
	exact, file = btime+3_600_437, btime+3_600_000
	check("after a step of the clock", btime+3_600_440+123_450)
	exact = 5
	check("the /proc of another machine", btime+3_600_000+123_450)
	known = false
	check("no clocks", btime+3_600_000+123_450)
}

func TestOutcome(t *testing.T) {
	for status, want := range map[int]outcome{0: completed, 1 << 8: failed, 137 << 8: failed, 2: cancelled, 15: cancelled, 1: cancelled, 9: failed, 11 | 0x80: failed, 15 | 0x80: cancelled} {
		if got := outcomeOf(status); got != want {
			t.Errorf("wait status %#x: %v, want %v", status, got, want)
		}
	}
}
