package kafka

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/deploy/lock"
)

// Version is the Kafka that runs. It is pinned, with its jars, in pom.xml.
const Version = "4.3.1"

const (
	// copyDependencies is pinned too: a plugin without version is whichever is newest.
	copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
	// installWithin bounds a download of 44 MB over a slow line.
	installWithin = 10 * time.Minute
	// javaAtLeast is what this Kafka's classes are compiled for.
	javaAtLeast = 17
)

//go:embed pom.xml
var pom []byte

//go:embed log4j2.xml
var log4j []byte

// ErrUnavailable is wrapped by every error that says that Kafka cannot run here.
var ErrUnavailable = errors.New("no Kafka can run here: it needs Java 17 or newer, and Maven once to fetch it (Debian: apt-get install openjdk-17-jre-headless maven)")

// Home returns the directory that holds Kafka's jars, in the user's cache, and
// fetches them with Maven when they are not there yet. It is safe to call from
// several processes at once: one fetches, the others wait for it.
func Home(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory (set HOME or XDG_CACHE_HOME): %w", err)
	}
	return home(ctx, filepath.Join(cache, "gpumeter"), mavenCopy)
}

// home is Home with the directory and the download as arguments.
func home(ctx context.Context, cache string, fetch func(ctx context.Context, into string) error) (string, error) {
	dir := filepath.Join(cache, "kafka-"+Version)
	if _, err := os.Stat(dir); err == nil { // the rename that put it there came last
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	held, err := lock.File(ctx, filepath.Join(cache, "kafka.lock"))
	if err != nil {
		return "", fmt.Errorf("wait for another process that fetches Kafka: %w", err)
	}
	defer func() { _ = held.Close() }()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	temp, err := os.MkdirTemp(cache, "kafka-fetch-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the download: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := fetch(ctx, temp); err != nil {
		return "", err
	}
	if err := os.Rename(temp, dir); err != nil {
		return "", fmt.Errorf("put Kafka in place: %w", err)
	}
	return dir, nil
}

// mavenCopy fetches the jars of pom.xml, and writes what they are configured with.
func mavenCopy(ctx context.Context, into string) error {
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("%w: mvn is not installed", ErrUnavailable)
	}
	for name, text := range map[string][]byte{"pom.xml": pom, "log4j2.xml": log4j} {
		if err := os.WriteFile(filepath.Join(into, name), text, 0o644); err != nil {
			return fmt.Errorf("prepare Kafka's directory: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, installWithin)
	defer cancel()
	slog.InfoContext(ctx, "fetching Apache Kafka once (44 MB)", "version", Version)
	cmd := exec.CommandContext(ctx, maven, "--batch-mode", "--quiet", "--strict-checksums",
		copyDependencies, "-DoutputDirectory="+filepath.Join(into, "libs"), "-DincludeScope=runtime")
	cmd.Dir = into
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: mvn %s failed: %w: %s", ErrUnavailable, copyDependencies, err, tail(out))
	}
	return nil
}

// java is the path of a Java that is new enough.
func java(ctx context.Context) (string, error) {
	path, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("%w: java is not installed", ErrUnavailable)
	}
	out, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: java -version: %w: %s", ErrUnavailable, err, tail(out))
	}
	if major := javaMajor(string(out)); major < javaAtLeast {
		return "", fmt.Errorf("%w: %s is Java %d", ErrUnavailable, path, major)
	}
	return path, nil
}

// javaMajor is the first number of java -version, 0 where there is none.
func javaMajor(said string) int {
	found := regexp.MustCompile(`version "(\d+)`).FindStringSubmatch(said)
	if found == nil {
		return 0
	}
	major, err := strconv.Atoi(found[1])
	if err != nil {
		return 0
	}
	return major
}

// tail is the end of some output, for an error message.
func tail(out []byte) string {
	const most = 2000
	text := strings.TrimSpace(string(out))
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}
