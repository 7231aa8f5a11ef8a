package insert

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// native is an inserter over the native protocol, by ch-go.
type native struct {
	options *driver.Options
	client  *ch.Client
	next    int // address that is dialled next
}

func newNative(options *driver.Options) *native { return &native{options: options} }

func (n *native) Insert(ctx context.Context, table string, block proto.Input) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout(n.options))
	defer cancel()
	if n.client == nil {
		if err := n.dial(ctx); err != nil {
			return err
		}
	}
	query := ch.Query{Body: into(table, block) + " VALUES", Input: block}
	for key, value := range settings() {
		query.Settings = append(query.Settings, ch.Setting{Key: key, Value: value, Important: true})
	}
	if err := n.client.Do(ctx, query); err != nil {
		_ = n.Close() // its stream may be in the middle of something
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	return nil
}

// dial connects to the next address, so that a server that is away is left out.
func (n *native) dial(ctx context.Context) error {
	address := n.options.Addr[n.next%len(n.options.Addr)]
	n.next++
	client, err := ch.Dial(ctx, ch.Options{
		Address: address, Database: n.options.Auth.Database,
		User: n.options.Auth.Username, Password: n.options.Auth.Password,
		TLS: n.options.TLS, DialTimeout: dialTimeout(n.options), ReadTimeout: readTimeout(n.options),
		ClientName: "gpumeter-sink", Compression: n.compression(),
	})
	if err != nil {
		return fmt.Errorf("connect to ClickHouse at %s: %w", address, err)
	}
	n.client = client
	return nil
}

// compression is what the connection string asks for; none otherwise, since it
// costs more than a local network.
func (n *native) compression() ch.Compression {
	if n.options.Compression == nil {
		return ch.CompressionDisabled
	}
	switch n.options.Compression.Method {
	case driver.CompressionLZ4, driver.CompressionLZ4HC:
		return ch.CompressionLZ4
	case driver.CompressionZSTD:
		return ch.CompressionZSTD
	}
	return ch.CompressionDisabled
}

func (n *native) Close() error {
	if n.client == nil {
		return nil
	}
	client := n.client
	n.client = nil
	if err := client.Close(); err != nil && !errors.Is(err, ch.ErrClosed) {
		return err
	}
	return nil
}
