package proxy

import "time"

// A Weather is what a link does to its connections. The zero value is fair.
type Weather struct {
	Down           bool          // connections are reset, new ones at once
	Held           bool          // nothing passes, nobody is told: bytes wait until it is over
	Latency        time.Duration // is added to each direction
	BytesPerSecond int           // of each direction of each connection; 0 = no limit
}

// A sky is the weather now, and a way to wait for the next. Guarded by its proxy.
type sky struct {
	now     Weather
	changed chan struct{} // closed when now is over
}

func newSky() sky { return sky{changed: make(chan struct{})} }

func (s *sky) set(w Weather) {
	s.now = w
	close(s.changed)
	s.changed = make(chan struct{})
}

// throttled is how long n bytes take.
func (w Weather) throttled(n int) time.Duration {
	if w.BytesPerSecond <= 0 {
		return 0
	}
	return time.Duration(n) * time.Second / time.Duration(w.BytesPerSecond)
}
