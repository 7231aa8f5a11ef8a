package demo

import "time"

// A clock tells event time by the time that has passed.
type clock struct {
	start time.Time // event time
	began time.Time
	speed float64
}

// at is the event time at now, in Unix ms; never ahead of now itself, where
// events would be in the future.
func (c clock) at(now time.Time) int64 {
	at := c.start.Add(time.Duration(float64(now.Sub(c.began)) * c.speed))
	if at.After(now) {
		at = now
	}
	return at.UnixMilli()
}

// reaches is how long after now event time is at ms; 0 = it is there.
func (c clock) reaches(ms int64, now time.Time) time.Duration {
	if c.at(now) >= ms {
		return 0
	}
	return time.Duration(float64(time.UnixMilli(ms).Sub(c.start))/c.speed) - now.Sub(c.began)
}
