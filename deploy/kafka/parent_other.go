//go:build !linux

package kafka

import "syscall"

// dieWithParent promises nothing here.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
