package owners

import (
	"time"

	"golang.org/x/sys/unix"
)

// exactBoot is the instant of boot by this machine's clocks, in Unix ms.
func exactBoot() (int64, bool) {
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return 0, false
	}
	return time.Now().Add(-time.Duration(since.Nano())).UnixMilli(), true
}
