package clickhouse

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// ParseDSN reads a connection string:
//
//	clickhouse://user:password@host:9000?secure=true     native protocol
//	http://user:password@host:8123, https://…            HTTP
//
// The password may be in a file (password_file=PATH) or in the environment
// (password_env=NAME) instead, which keeps it out of process lists and configs.
// Every other parameter is clickhouse-go's. Errors never hold the password.
func ParseDSN(dsn string) (*clickhouse.Options, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("clickhouse: not a connection string: write clickhouse://user@host:9000 or http://user@host:8123")
	}
	switch u.Scheme {
	case "clickhouse", "tcp", "http", "https":
	default:
		return nil, fmt.Errorf("clickhouse: scheme %q is not clickhouse, http or https", u.Scheme)
	}
	query := u.Query()
	password, found, err := secret(query)
	if err != nil {
		return nil, err
	}
	if found {
		u.User = url.UserPassword(u.User.Username(), password)
	}
	query.Del("password_file")
	query.Del("password_env")
	u.RawQuery = query.Encode()
	options, err := clickhouse.ParseDSN(u.String())
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %s: %w", u.Redacted(), err)
	}
	if options.Auth.Username == "" {
		options.Auth.Username = "default"
	}
	if options.Auth.Database == Database {
		options.Auth.Database = "" // every statement names it, and before the first migration it is not there
	}
	return options, nil
}

// secret finds the password outside the connection string.
func secret(query url.Values) (password string, found bool, err error) {
	if path := query.Get("password_file"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", false, fmt.Errorf("clickhouse: password_file: %w", err)
		}
		return strings.TrimRight(string(text), "\r\n"), true, nil
	}
	if name := query.Get("password_env"); name != "" {
		value, ok := os.LookupEnv(name)
		if !ok {
			return "", false, fmt.Errorf("clickhouse: password_env: %s is not set", name)
		}
		return value, true, nil
	}
	return "", false, nil
}

// Open connects to the server of a connection string, lazily: the first query
// dials.
func Open(dsn string) (driver.Conn, error) {
	options, err := ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	return conn, nil
}
