package owners

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// watch calls ended once, in a goroutine of its own: with nil as soon as the
// process has exited, with os.ErrClosed after stop, with another error when it
// cannot be waited for. stop may be called repeatedly and does not wait. The wait costs no thread: a pidfd is readable once its
// process is gone, and the runtime polls it.
func watch(pid int, ended func(error)) (stop func(), err error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("pidfd of %d: %w", pid, err)
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	conn, err := file.SyscallConn()
	if err != nil {
		_ = file.Close() // the first error says it
		return nil, fmt.Errorf("pidfd of %d: %w", pid, err)
	}
	go func() {
		err := conn.Read(exited)
		_ = file.Close() // nothing was written
		ended(err)
	}()
	return func() { _ = file.Close() }, nil
}

// exited asks without waiting.
func exited(fd uintptr) bool {
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(ready, 0)
	return err == nil && n > 0
}
