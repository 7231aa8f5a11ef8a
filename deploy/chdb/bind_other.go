//go:build !linux || !amd64

package chdb

import "os"

func runLocal(string, []string) error { return checkPlatform() }

func terminalAsStdin() (*os.File, error) { return nil, checkPlatform() }
