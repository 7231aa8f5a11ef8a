package clickhouse

import (
	"strings"
	"testing"
)

// A connection string is refused or read, and an error does not hold its password.
func FuzzParseDSN(f *testing.F) {
	for _, seed := range []string{"clickhouse://u:topsecret@h:9000/db?dial_timeout=1s", "http://u@h:8123", "https://h?secure=true", "clickhouse://u:p%zz@h", "tcp://a:1,b:2", "clickhouse:topsecret@h", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dsn string) {
		if strings.Contains(dsn, "password_") {
			return // names a file or a variable of this machine
		}
		const secret = "topsecret"
		_, err := ParseDSN(dsn)
		if err != nil && strings.Contains(dsn, ":"+secret+"@") && strings.Contains(err.Error(), secret) {
			t.Fatalf("%v", err)
		}
	})
}
