package service

import (
	"fmt"
	"strconv"
	"time"
)

// An Instant is an event time in Unix milliseconds UTC, 0 = none. Its text is RFC
// 3339 or the milliseconds.
type Instant int64

// UnmarshalText reads either form.
func (i *Instant) UnmarshalText(text []byte) error {
	if ms, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		*i = Instant(ms)
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return fmt.Errorf("%q is neither RFC 3339 (2023-02-08T12:00:00Z) nor Unix milliseconds", text)
	}
	*i = Instant(t.UnixMilli())
	return nil
}

// MarshalText writes RFC 3339, in UTC.
func (i Instant) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// IsZero tells that there is none.
func (i Instant) IsZero() bool { return i == 0 }

// String is the instant in RFC 3339, "" for none.
func (i Instant) String() string {
	if i == 0 {
		return ""
	}
	return time.UnixMilli(int64(i)).UTC().Format("2006-01-02T15:04:05.999Z07:00")
}
