//go:build !linux

package owners

import "errors"

// exactBoot is known on Linux only.
func exactBoot() (int64, bool) { return 0, false }

// watch works on Linux only; elsewhere processes are looked at.
func watch(int, func(error)) (func(), error) {
	return nil, errors.ErrUnsupported
}

// ownerOf is known on Linux only.
func (p procfs) ownerOf(int) (int, bool) { return noUID, false }
