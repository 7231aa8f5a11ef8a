package stack

import (
	"errors"
	"path/filepath"

	"github.com/gpumeter/gpumeter/schemas/broker"
)

// Config says what is embedded and where the rest is.
type Config struct {
	Data       string        `koanf:"data" doc:"directory of the embedded broker and ClickHouse"`
	Broker     broker.Config `koanf:",squash"`
	Topics     broker.Layout `koanf:",squash"`
	ClickHouse string        `koanf:"clickhouse" secret:"address" doc:"DSN of a ClickHouse server; none = the embedded one"`
	Listen     Listen        `koanf:"listen"`
}

// Listen fixes the ports of what is embedded, all on loopback.
type Listen struct {
	Kafka  string `koanf:"kafka" doc:"host:port of the embedded broker; none = any free port of 127.0.0.1"`
	Native string `koanf:"native" doc:"host:port of the embedded ClickHouse's native protocol; none = any free port"`
	HTTP   string `koanf:"http" doc:"host:port of the embedded ClickHouse's HTTP protocol; none = any free port"`
}

// DefaultConfig embeds both; the directory must be given.
func DefaultConfig() Config { return Config{Topics: broker.DefaultLayout()} }

// EmbedsBroker tells whether the broker is this process's.
func (c Config) EmbedsBroker() bool { return len(c.Broker.Brokers) == 0 }

// EmbedsClickHouse tells whether the engine is this process's.
func (c Config) EmbedsClickHouse() bool { return c.ClickHouse == "" }

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	var errs []error
	if c.Data == "" && (c.EmbedsBroker() || c.EmbedsClickHouse()) {
		errs = append(errs, errors.New("data: not given: name a directory with --data, or both --brokers and --clickhouse"))
	}
	if !c.EmbedsBroker() {
		errs = append(errs, c.Broker.Validate())
	}
	return errors.Join(append(errs, c.Topics.Validate())...)
}

// BrokerDir is where the embedded broker of a data directory keeps its files.
func BrokerDir(data string) string { return filepath.Join(data, "broker") }

// EngineDir is where the embedded ClickHouse of a data directory keeps its files.
func EngineDir(data string) string { return filepath.Join(data, "clickhouse") }
