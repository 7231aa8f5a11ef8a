package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// MaxBytes is the longest file that is taken for a secret. Keys with their chain
// of certificates have some tens of kilobytes.
const MaxBytes = 256 << 10

// ErrExposed is wrapped when others can read or change a file.
var ErrExposed = errors.New("others can read or change it")

// Read returns what a file holds, bytes as they are. It refuses a file that is
// longer than MaxBytes, empty, or exposed.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if exposed(path, info) {
		return nil, fmt.Errorf("%s: %w: chmod 600 it and let its user own it", path, ErrExposed)
	}
	text, err := io.ReadAll(io.LimitReader(file, MaxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > MaxBytes:
		return nil, fmt.Errorf("%s: longer than %d bytes: this is no secret", path, MaxBytes)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

// File returns the one line that a file holds. Editors end a file with a line
// feed, which is not part of the secret.
func File(path string) (string, error) {
	text, err := Read(path)
	return string(bytes.TrimRight(text, "\r\n")), err
}

// Env returns the value of a variable of the environment.
func Env(name string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", fmt.Errorf("environment variable %s is not set", name)
	}
	return value, nil
}

// What others may do with a file.
const (
	groupWrites fs.FileMode = 0o020
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o002
	othersEnter fs.FileMode = 0o001
)

// exposed reports whether users other than its owner and group can read a file,
// or others than its owner can change it. A mount that is read-only is what
// orchestrators make of secrets for one container (mode 444 or 644 there): those
// who can see it are those that it is for.
func exposed(path string, info fs.FileInfo) bool {
	if !info.Mode().IsRegular() || info.Mode()&(groupWrites|othersRead|othersWrite) == 0 || readOnly(path) {
		return false
	}
	if info.Mode()&groupWrites != 0 {
		return true
	}
	return entered(path)
}

// entered reports whether others can reach a path: each folder above lets them in.
func entered(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return true
	}
	if real, err = filepath.Abs(real); err != nil {
		return true
	}
	for dir := filepath.Dir(real); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && info.Mode()&othersEnter == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}
