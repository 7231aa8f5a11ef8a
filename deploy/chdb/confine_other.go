//go:build !linux

package chdb

// confine does nothing: the engine runs on Linux only.
func (s childSpec) confine() error { return nil }
