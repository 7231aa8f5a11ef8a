package clickhouse

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/schemas/secret"
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
	if u.Host == "" { // as in clickhouse:password@host, which u.Redacted would print
		return nil, fmt.Errorf("clickhouse: no host after %s://: write clickhouse://user@host:9000 or http://user@host:8123", u.Scheme)
	}
	query := u.Query()
	for name := range query {
		if strings.EqualFold(name, "password") || strings.EqualFold(name, "username") {
			return nil, fmt.Errorf("clickhouse: parameter %s: write clickhouse://user@host:9000?password_file=PATH: parameters are printed with errors", name)
		}
	}
	password, found, err := passwordOf(query)
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
		return nil, fmt.Errorf("clickhouse: %s://%s: %w", u.Scheme, u.Host, err)
	}
	if options.Auth.Username == "" {
		options.Auth.Username = "default"
	}
	if options.Auth.Database == Database {
		options.Auth.Database = "" // every statement names it, and before the first migration it is not there
	}
	return options, nil
}

// HTTPURL is the address of a connection string of the HTTP protocol, with the
// password that it names in its user; nil for another protocol.
func HTTPURL(dsn string) (*url.URL, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, nil //nolint:nilerr,nilnil // it is none, and ParseDSN says what is wrong with it
	}
	query := u.Query()
	password, found, err := passwordOf(query)
	if err != nil {
		return nil, err
	}
	if found {
		u.User = url.UserPassword(u.User.Username(), password)
	}
	query.Del("password_file")
	query.Del("password_env")
	u.RawQuery = query.Encode()
	return u, nil
}

// passwordOf finds the password outside the connection string.
func passwordOf(query url.Values) (password string, found bool, err error) {
	if path := query.Get("password_file"); path != "" {
		if password, err = secret.File(path); err != nil {
			return "", false, fmt.Errorf("clickhouse: password_file: %w", err)
		}
		return password, true, nil
	}
	if name := query.Get("password_env"); name != "" {
		if password, err = secret.Env(name); err != nil {
			return "", false, fmt.Errorf("clickhouse: password_env: %w", err)
		}
		return password, true, nil
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
