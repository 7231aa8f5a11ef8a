package kafka

import "syscall"

// dieWithParent makes the kernel kill a node when the thread that started it
// ends. A group of its own keeps an interrupt from the terminal away from it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
