//go:build !cgo || !linux

package nvml

import (
	"errors"
	"log/slog"
)

// errNoCgo is why this build has no driver.
var errNoCgo = errors.New("nvml: this binary was built without cgo, or not for linux, and cannot call the NVIDIA driver: build it with CGO_ENABLED=1 and a C compiler, or collect from files or another source")

func openDriver(Config, *slog.Logger) (driver, error) { return nil, errNoCgo }
