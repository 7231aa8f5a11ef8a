package owners

import (
	"errors"
	"strconv"
	"strings"
)

// ticks per second of the times in /proc: USER_HZ, 100 on every architecture that
// has GPUs worth metering.
const (
	ticksPerSecond = 100
	tick           = 1000 / ticksPerSecond // milliseconds
)

// A stat is what /proc/PID/stat says of a process.
type stat struct {
	comm    string
	state   byte
	ppid    int
	session int
	tty     int
	threads int
	start   uint64 // ticks since boot
	exit    int    // wait status, 0 also where it may not be read
}

var errStat = errors.New("stat: not the format of proc(5)")

// parseStat reads the text of /proc/PID/stat. The name of the program may hold
// spaces and brackets; the last bracket closes it.
func parseStat(text string) (stat, error) {
	open, last := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || last < open {
		return stat{}, errStat
	}
	s := stat{comm: text[open+1 : last]}
	f := strings.Fields(text[last+1:])
	const start = 19 // field 22 of proc(5), which counts from 1 and has two before these
	if len(f) <= start || len(f[0]) != 1 || f[0][0] < 'A' || f[0][0] > 'z' {
		return stat{}, errStat
	}
	s.state = f[0][0]
	var err error
	number := func(at int) int {
		n, wrong := strconv.Atoi(f[at])
		err = errors.Join(err, wrong)
		return n
	}
	s.ppid, s.session, s.tty, s.threads = number(1), number(3), number(4), number(17)
	ticks, wrong := strconv.ParseUint(f[start], 10, 64)
	s.start = ticks
	const exit = 49 // since Linux 3.5
	if len(f) > exit {
		s.exit = number(exit)
	}
	if errors.Join(err, wrong) != nil {
		return stat{}, errStat
	}
	return s, nil
}

// dead tells a process that only waits for its parent to take note. One whose
// first thread ended while others run is not dead.
func (s stat) dead() bool {
	return s.state == 'X' || s.state == 'x' || s.state == 'Z' && s.threads <= 1
}

// leadsTerminal tells the shell of a terminal: what it starts are programs.
func (s stat) leadsTerminal(pid int) bool { return s.session == pid && s.tty != 0 }

// realUID reads the real user id from the text of /proc/PID/status.
func realUID(text string) (int, bool) {
	for line := range strings.Lines(text) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			if f := strings.Fields(ids); len(f) > 0 {
				uid := number(f[0])
				return uid, uid != noUID
			}
		}
	}
	return noUID, false
}

// bootTime reads the second of boot from the text of /proc/stat.
func bootTime(text string) (ms int64, ok bool) {
	for line := range strings.Lines(text) {
		if at, ok := strings.CutPrefix(line, "btime "); ok {
			s, err := strconv.ParseInt(strings.TrimSpace(at), 10, 64)
			return s * 1000, err == nil
		}
	}
	return 0, false
}
