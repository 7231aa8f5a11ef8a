package spool

import (
	"fmt"
	"path/filepath"
	"time"
)

// Config says where the spool is and how much it may hold.
type Config struct {
	Dir   string        `koanf:"dir" doc:"directory that keeps what the brokers do not take, empty = none: the source waits for them; only for sources that cannot wait, fleet and nvml"`
	Bytes int64         `koanf:"bytes" doc:"what the spool may hold; beyond that the oldest processes go first, then samples"`
	Sync  time.Duration `koanf:"sync" doc:"how often it is forced to the disk: what a crash may take"`
}

// DefaultConfig has no directory.
func DefaultConfig() Config {
	return Config{Bytes: 1 << 30, Sync: time.Second}
}

// segments is how many segments there are about when the spool is full: what is
// dropped at a time is one of them.
const segments = 64

const (
	minBytes   = 16 << 20 // room for some of the largest records
	maxSegment = 4 << 20
	minSync    = 10 * time.Millisecond
)

// Validate gives the first thing that is wrong, and its reason.
func (c Config) Validate() error {
	if c.Dir != "" && !filepath.IsAbs(c.Dir) {
		return fmt.Errorf("spool.dir: %q is not an absolute path: a restart may begin in another directory", c.Dir)
	}
	if c.Bytes < minBytes {
		return fmt.Errorf("spool.bytes: %d is less than %d: a record has up to 4 MiB", c.Bytes, minBytes)
	}
	if c.Sync < minSync || c.Sync > time.Minute {
		return fmt.Errorf("spool.sync: %v is not from %v to 1m: it is what a crash may take", c.Sync, minSync)
	}
	return nil
}
