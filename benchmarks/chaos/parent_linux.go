package main

import "syscall"

// dieWithParent lets the kernel kill a process when the thread that started it
// ends: with a harness that was killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
