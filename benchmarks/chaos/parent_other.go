//go:build !linux

package main

import "syscall"

// dieWithParent is not possible here; neither is the embedded ClickHouse.
func dieWithParent() *syscall.SysProcAttr { return nil }
