package owners

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxFile bounds what is read of a file of a process, which its owner can make
// as large as he likes.
const maxFile = 1 << 20

// errGone says that there is no such process (any more).
var errGone = errors.New("no such process")

// A procfs is a mounted /proc, or a recorded tree of the same form.
type procfs struct{ dir string }

func (p procfs) read(name string) (string, error) {
	f, err := os.Open(filepath.Join(p.dir, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(text), err
}

func (p procfs) readOf(pid int, name string) (string, error) {
	return p.read(strconv.Itoa(pid) + "/" + name)
}

// stat looks at a process.
func (p procfs) stat(pid int) (stat, error) {
	text, err := p.readOf(pid, "stat")
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// uid is the real user of a process: of status, else whom its directory belongs to.
func (p procfs) uid(pid int) (int, bool) {
	if text, err := p.readOf(pid, "status"); err == nil {
		if uid, ok := realUID(text); ok {
			return uid, true
		}
	}
	return p.ownerOf(pid)
}

// owner reads what the cgroup says; where it cannot be read, the user owns.
func (p procfs) owner(pid int) (o Owner, readable bool) {
	text, err := p.readOf(pid, "cgroup")
	if err != nil {
		return Owner{Kind: User, UID: noUID}, false
	}
	return ParseCgroup(text), true
}

// boot is the id of this boot, shortened: with node, start and pid it is enough.
func (p procfs) boot() string {
	text, err := p.read("sys/kernel/random/boot_id")
	if err != nil {
		return "boot"
	}
	id := strings.TrimSpace(text)
	return id[:min(len(id), 8)]
}

func (p procfs) btime() (int64, bool) {
	text, err := p.read("stat")
	if err != nil {
		return 0, false
	}
	return bootTime(text)
}

// A key is one process of this boot: pids come again, with another start.
type key struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // ticks since boot
}

// at is the process that has the pid now, errGone where there is none or it only
// waits for its parent.
func (p procfs) at(pid int) (key, stat, error) {
	s, err := p.stat(pid)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return key{}, s, errGone
	case err != nil:
		return key{}, s, fmt.Errorf("process %d: %w", pid, err)
	case s.dead():
		return key{pid, s.start}, s, errGone
	}
	return key{pid, s.start}, s, nil
}

// lives tells whether k still does. exit is its wait status where it is known.
func (p procfs) lives(k key) (alive bool, exit int) {
	now, s, err := p.at(k.PID)
	if now != k {
		return err != nil && !errors.Is(err, errGone), 0 // what cannot be read may live
	}
	if err != nil {
		return false, s.exit
	}
	return true, 0
}

// maxAncestors bounds the way up, which ends anyway.
const maxAncestors = 64

// ancestor goes up from a process while its ancestors belong to the same owner
// (and for what has no owner but a user, to the same user and below a terminal's
// shell) and returns the highest.
func (p procfs) ancestor(k key, of Owner, uid int) (key, stat, error) {
	_, s, err := p.at(k.PID)
	if err != nil {
		return k, s, err
	}
	for range maxAncestors {
		parent, up, same := p.parent(s, of, uid)
		if !same {
			break
		}
		k, s = parent, up
	}
	return k, s, nil
}

// parent gives the parent of a process if it belongs to the same owner.
func (p procfs) parent(child stat, of Owner, uid int) (key, stat, bool) {
	if child.ppid <= 1 {
		return key{}, stat{}, false
	}
	k, s, err := p.at(child.ppid)
	if err != nil || s.start > child.start || of.Kind == User && s.leadsTerminal(child.ppid) {
		return key{}, stat{}, false
	}
	owner, readable := p.owner(child.ppid)
	if !readable || owner.Kind != of.Kind || owner.group(uid) != of.group(uid) {
		return key{}, stat{}, false
	}
	if of.Kind == User || of.Kind == Unit {
		if is, ok := p.uid(child.ppid); !ok || is != uid {
			return key{}, stat{}, false
		}
	}
	return k, s, true
}

// command is the arguments of a process, masked.
func (p procfs) command(pid int) []string {
	text, err := p.readOf(pid, "cmdline")
	if err != nil || text == "" {
		return nil
	}
	return slices.Clip(Mask(strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")))
}
