package publish

import (
	"fmt"
	"time"
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
