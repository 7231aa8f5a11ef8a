package chdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confinedEnv marks a child that has confined itself.
const confinedEnv = "GPUMETER_CHDB_CONFINED"

// Rights of Landlock's second version. The first lets nothing be moved to another
// folder, which is how ClickHouse drops a table.
const (
	mayRead    = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	mayExecute = mayRead | unix.LANDLOCK_ACCESS_FS_EXECUTE
	mayUse     = mayRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	mayAll     = 1<<14 - 1 // up to LANDLOCK_ACCESS_FS_REFER
	leastABI   = 2
	ofFiles    = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE
)

// confine leaves the engine only the files that it needs, and starts this program
// again under that restriction: a restriction is a thread's, and the start makes
// its thread the only one. Grants are not enough: the scalar function file() asks
// for none, and in clickhouse-local reads any path. Where the kernel has no
// such Landlock (before 5.19, or switched off) the engine runs as it is.
func (s childSpec) confine() error {
	if os.Getenv(confinedEnv) != "" {
		return nil
	}
	if abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 || abi < leastABI {
		return nil //nolint:nilerr // a kernel without it answers with an error
	}
	runtime.LockOSThread()
	attributes := unix.LandlockRulesetAttr{Handled_access_fs: mayAll}
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes.Handled_access_fs), 0)
	if errno != 0 {
		return fmt.Errorf("confine the engine: %w", errno)
	}
	for path, rights := range s.needs() {
		if err := allow(int(ruleset), path, rights); err != nil {
			return fmt.Errorf("confine the engine: %s: %w", path, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("confine the engine: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); errno != 0 {
		return fmt.Errorf("confine the engine: %w", errno)
	}
	_ = unix.Close(int(ruleset))
	return syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), confinedEnv+"=1"))
}

// needs lists the paths that an engine opens, and what it may do with them.
func (s childSpec) needs() map[string]uint64 {
	paths := map[string]uint64{
		s.Dir: mayAll, filepath.Dir(s.Library): mayExecute,
		"/lib": mayExecute, "/lib64": mayExecute, "/usr/lib": mayExecute, "/usr/lib64": mayExecute, "/etc/ld.so.cache": mayRead,
		"/usr/share/zoneinfo": mayRead, "/etc/localtime": mayRead, "/etc/timezone": mayRead,
		"/sys": mayRead, "/dev": mayUse,
		"/proc/self": mayRead, // of other processes it would show the environment
	}
	for _, name := range []string{"cpuinfo", "meminfo", "stat", "loadavg", "uptime", "vmstat", "diskstats", "filesystems", "sys"} {
		paths["/proc/"+name] = mayRead
	}
	if self, err := os.Executable(); err == nil {
		paths[self] = mayExecute
	}
	return paths
}

// allow adds a path to a ruleset; one that is not there needs no right.
func allow(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return err
	}
	if info.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= ofFiles
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
