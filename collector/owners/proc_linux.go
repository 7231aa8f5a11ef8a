package owners

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// ownerOf is whom the directory of a process belongs to.
func (p procfs) ownerOf(pid int) (int, bool) {
	info, err := os.Stat(filepath.Join(p.dir, strconv.Itoa(pid)))
	if err != nil {
		return noUID, false
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return noUID, false
	}
	return int(is.Uid), true
}
