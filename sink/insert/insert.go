package insert

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// An Inserter inserts blocks into the tables of one server. It reconnects by
// itself: after an error the next Insert dials again. Not for concurrent use.
type Inserter interface {
	// Insert returns nil once the server has acknowledged the whole block.
	// After an error the block may be there, in part or whole.
	Insert(ctx context.Context, table string, block proto.Input) error
	Close() error
}

// New makes an inserter for a connection string, see clickhouse.ParseDSN. It
// does not dial.
func New(dsn string) (Inserter, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	if len(options.Addr) == 0 {
		return nil, errors.New("clickhouse: the connection string names no address: write clickhouse://user@host:9000")
	}
	if options.Protocol == driver.HTTP {
		return newOverHTTP(options), nil
	}
	return newNative(options), nil
}

// readTimeout is how long an insert may take as a whole. A server that is frozen,
// or whose machine is gone without a word, would hold the sink for a quarter of
// an hour otherwise, or for ever. The connection string may say another.
func readTimeout(o *driver.Options) time.Duration {
	if o.ReadTimeout > 0 {
		return o.ReadTimeout
	}
	return 2 * time.Minute
}

// dialTimeout is how long a connection may take to be there.
func dialTimeout(o *driver.Options) time.Duration {
	if o.DialTimeout > 0 {
		return o.DialTimeout
	}
	return 5 * time.Second
}

// settings of every insert, each with what happens without it.
func settings() map[string]string {
	return map[string]string{
		// The server would merge each block by the table's key before it
		// writes it, which takes eight times as long as writing it.
		"optimize_on_insert": "0",
		// A block that is sent again after an error must reach the history,
		// too: the tables collapse what is double.
		"insert_deduplicate": "0",
		// An acknowledgement must mean "written".
		"async_insert": "0",
		// A replay of years touches more partitions at once than 100.
		"max_partitions_per_insert_block": "0",
	}
}

func into(table string, block proto.Input) string {
	return fmt.Sprintf("INSERT INTO %s.%s %s", clickhouse.Database, table, block.Columns())
}
