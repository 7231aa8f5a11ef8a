package chdb

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/deploy/lock"
)

// The library is pinned: a newer one is a change of this file, with the abuse
// tests run again, never a surprise.
const (
	libraryPackage = "@chdb/lib-linux-x64-gnu"
	libraryVersion = "26.7.3-stable.1"
	librarySHA256  = "c0d32b129e988f2b9a9a31c9141aecf5e1e2453f9a079efc4d36ab8e3f92b2ad" // of the package's tarball
	librarySize    = 566330096                                                          // bytes of libchdb.so
	libraryFile    = "libchdb.so"
)

// fetchTimeout bounds a download of 178 MB over a slow line.
const fetchTimeout = 10 * time.Minute

// ErrUnavailable is wrapped by every error that says the embedded engine
// cannot run here at all, so that a test may skip and a command may point to a
// ClickHouse server instead.
var ErrUnavailable = errors.New("the embedded ClickHouse is not available here; name a server with --clickhouse DSN instead")

// Library returns the path of libchdb.so in the user's cache directory and
// fetches it with the npm client when it is not there yet. It is safe to call
// from several processes at once: one fetches, the others wait for it.
func Library(ctx context.Context) (string, error) {
	if err := checkPlatform(); err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory (set HOME or XDG_CACHE_HOME): %w", err)
	}
	return library(ctx, filepath.Join(cache, "gpumeter", "chdb-"+libraryVersion), npmPack)
}

// library is Library with the directory and the download as arguments.
func library(ctx context.Context, dir string, pack func(ctx context.Context, into string) (string, error)) (string, error) {
	path := filepath.Join(dir, libraryFile)
	if complete(path) {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	held, err := lock.File(ctx, filepath.Join(dir, "fetch.lock"))
	if err != nil {
		return "", fmt.Errorf("wait for another process that fetches the engine: %w", err)
	}
	defer func() { _ = held.Close() }()
	if complete(path) {
		return path, nil
	}
	temp, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the download: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	tarball, err := pack(ctx, temp)
	if err != nil {
		return "", err
	}
	if err := install(tarball, path); err != nil {
		return "", err
	}
	return path, nil
}

// complete reports whether the library is in place. The rename that put it
// there came after the checksum, so its size is enough.
func complete(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() == librarySize
}

func checkPlatform() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("%w: it needs linux/amd64, this is %s/%s", ErrUnavailable, runtime.GOOS, runtime.GOARCH)
	}
	if _, err := os.Stat("/lib64/ld-linux-x86-64.so.2"); err != nil {
		return fmt.Errorf("%w: it needs glibc, /lib64/ld-linux-x86-64.so.2 is missing", ErrUnavailable)
	}
	return nil
}

// npmPack downloads the package's tarball into a directory.
func npmPack(ctx context.Context, into string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("%w: npm, which fetches it once, is not installed", ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	slog.InfoContext(ctx, "fetching the embedded ClickHouse once (178 MB)", "package", libraryPackage, "version", libraryVersion)
	cmd := exec.CommandContext(ctx, npm, "pack", libraryPackage+"@"+libraryVersion, "--pack-destination", into, "--ignore-scripts")
	cmd.Dir = into
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: npm pack %s@%s failed: %w: %s", ErrUnavailable, libraryPackage, libraryVersion, err, tail(out, 600))
	}
	found, err := filepath.Glob(filepath.Join(into, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack left %d tarballs, one was expected", len(found))
	}
	return found[0], nil
}

// install verifies the tarball and moves its library to path.
func install(tarball, path string) error {
	if err := verify(tarball); err != nil {
		return err
	}
	f, err := os.Open(tarball)
	if err != nil {
		return fmt.Errorf("open the engine's tarball: %w", err)
	}
	defer func() { _ = f.Close() }()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("read the engine's tarball: %w", err)
	}
	files := tar.NewReader(zipped)
	for {
		head, err := files.Next()
		if err != nil {
			return fmt.Errorf("find %s in the engine's tarball: %w", libraryFile, err)
		}
		if head.Name == "package/"+libraryFile {
			return place(files, path)
		}
	}
}

func verify(tarball string) error {
	f, err := os.Open(tarball)
	if err != nil {
		return fmt.Errorf("open the engine's tarball: %w", err)
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("read the engine's tarball: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != librarySHA256 {
		return fmt.Errorf("the tarball of %s@%s has SHA-256 %s, expected %s: it is damaged or was tampered with, clear npm's cache (npm cache clean --force) and try again", libraryPackage, libraryVersion, got, librarySHA256)
	}
	return nil
}

// place writes the library beside path, makes it durable, and renames it, so
// that a library at path is always whole.
func place(from io.Reader, path string) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), "lib-*.partial")
	if err != nil {
		return fmt.Errorf("create the library's file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, temp.Close(), os.Remove(temp.Name()))
		}
	}()
	if _, err := io.Copy(temp, from); err != nil {
		return fmt.Errorf("unpack the library (566 MB, is the disk full?): %w", err)
	}
	if err := errors.Join(temp.Chmod(0o755), temp.Sync()); err != nil {
		return fmt.Errorf("store the library: %w", err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return fmt.Errorf("put the library in place: %w", err)
	}
	return temp.Close()
}

// tail is the end of some output, for an error message.
func tail(out []byte, n int) string {
	text := strings.TrimSpace(string(out))
	if len(text) > n {
		text = "…" + text[len(text)-n:]
	}
	return text
}
