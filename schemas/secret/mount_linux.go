package secret

import "syscall"

// flagReadOnly is ST_RDONLY of statfs(2).
const flagReadOnly = 1

// readOnly reports whether a path lies on a mount that nothing can change.
func readOnly(path string) bool {
	var fs syscall.Statfs_t
	return syscall.Statfs(path, &fs) == nil && fs.Flags&flagReadOnly != 0
}
