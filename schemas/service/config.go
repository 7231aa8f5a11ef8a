package service

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
)

// Config is what every binary can be told about its shell.
type Config struct {
	HTTP   HTTP   `koanf:"http"`
	Log    Log    `koanf:"log"`
	Memory Memory `koanf:"memory"`
}

// HTTP serves /metrics, /healthz and /readyz.
type HTTP struct {
	Listen string `koanf:"listen" doc:"host:port of /metrics, /healthz and /readyz; port 0 = any free one, empty = off"`
}

// Log says what is written to standard error.
type Log struct {
	Level  slog.Level `koanf:"level" doc:"least level that is logged: DEBUG, INFO, WARN or ERROR"`
	Format string     `koanf:"format" doc:"text or json"`
}

// DefaultConfig listens on loopback at port; 0 = any free one.
func DefaultConfig(port int) Config {
	return Config{
		HTTP: HTTP{Listen: net.JoinHostPort("127.0.0.1", fmt.Sprint(port))},
		Log:  Log{Level: slog.LevelInfo, Format: "text"},
	}
}

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	errs := []error{c.Memory.validate()}
	if c.HTTP.Listen != "" {
		host, _, err := net.SplitHostPort(c.HTTP.Listen)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("http.listen: %w: write host:port", err))
		case host == "":
			errs = append(errs, fmt.Errorf("http.listen: %q listens on every interface without a word: write 127.0.0.1, or 0.0.0.0 or [::] where that is meant", c.HTTP.Listen))
		}
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		errs = append(errs, fmt.Errorf("log.format: %q is neither text nor json", c.Log.Format))
	}
	return errors.Join(errs...)
}

// Logger writes to w.
func (l Log) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
