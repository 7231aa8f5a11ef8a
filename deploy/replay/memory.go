package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// peakMemory is the greatest resident memory that this process and its children,
// the engine among them, have each had, summed: at least what they had together
// at any instant. 0 where there is no /proc.
func peakMemory() int64 {
	self := os.Getpid()
	total := status(self).peak
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return total
	}
	for _, dir := range processes {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if s := status(pid); s.parent == self {
			total += s.peak
		}
	}
	return total
}

type processStatus struct {
	parent int
	peak   int64 // bytes
}

// status reads what /proc says of a process; nothing of one that has ended.
func status(pid int) (s processStatus) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return s
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "PPid":
			s.parent, _ = strconv.Atoi(value)
		case "VmHWM":
			kb, _ := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
			s.peak = kb << 10
		}
	}
	return s
}
