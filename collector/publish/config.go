package publish

import (
	"fmt"
	"time"

	"github.com/gpumeter/gpumeter/collector/spool"
)

// Config says when a batch is sent and how much is held.
type Config struct {
	Rows   int           `koanf:"rows" doc:"rows of one batch"`
	Wait   time.Duration `koanf:"wait" doc:"longest time that a row is held"`
	Buffer int           `koanf:"buffer" doc:"rows held in all batches together"`
}

// DefaultConfig makes messages that compress well of a busy source and that are
// there within a second of a quiet one, in about 20 MB.
func DefaultConfig() Config {
	return Config{Rows: 4096, Wait: time.Second, Buffer: 1 << 18}
}

// maxRows keeps a record under broker.MaxRecordBytes: no row but the long lines
// that count by bytes is wider than 128 bytes.
const maxRows = 32 << 10

// groupBytes is how many bytes of texts and lists a batch may hold.
const groupBytes = 1 << 20

// Validate gives the first thing that is wrong, and its reason.
func (c Config) Validate() error {
	if c.Rows < 1 || c.Rows > maxRows {
		return fmt.Errorf("batch.rows: %d is not from 1 to %d: more does not fit one record", c.Rows, maxRows)
	}
	if c.Wait < 10*time.Millisecond || c.Wait > time.Minute {
		return fmt.Errorf("batch.wait: %v is not from 10ms to 1m: it is added to the age of every row", c.Wait)
	}
	if c.Buffer < c.Rows {
		return fmt.Errorf("batch.buffer: %d is less than batch.rows, %d: no batch would get full", c.Buffer, c.Rows)
	}
	return nil
}

// SpoolConfig says when and where records wait for the brokers.
type SpoolConfig struct {
	Disk  spool.Config  `koanf:",squash"`
	After time.Duration `koanf:"after" doc:"how long a record may wait for the brokers until it goes to the spool: what a kill may take, and how long the source may be held up, once"`
}

// DefaultSpool has no directory.
func DefaultSpool() SpoolConfig {
	return SpoolConfig{Disk: spool.DefaultConfig(), After: 2 * time.Second}
}

// Validate gives the first thing that is wrong, and its reason.
func (c SpoolConfig) Validate() error {
	if c.After < 100*time.Millisecond || c.After > 5*time.Second {
		return fmt.Errorf("spool.after: %v is not from 100ms to 5s: brokers that elect a leader take longer than the one, a stop does not wait longer than the other", c.After)
	}
	return c.Disk.Validate()
}
