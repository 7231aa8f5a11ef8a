package proxy

import (
	"errors"
	"io"
	"net"
	"time"
)

const (
	chunkBytes  = 16 << 10
	chunksOnWay = 64 // 1 MiB is on the way at most; then the sender waits
)

// A chunk is on its way.
type chunk struct {
	bytes []byte
	read  time.Time
}

// stream relays one direction until it ends. An end in order is passed on when
// all before it has arrived; anything else ends both ways at once.
func (p *Proxy) stream(to, from *net.TCPConn) {
	way := make(chan chunk, chunksOnWay)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.deliver(to, from, way)
	}()
	var err error
	for err == nil {
		b := make([]byte, chunkBytes)
		var n int
		n, err = from.Read(b)
		if n > 0 {
			way <- chunk{b[:n], time.Now()}
		}
	}
	if !errors.Is(err, io.EOF) {
		reset(to)
	}
	close(way)
	<-done
	_ = to.CloseWrite()
}

// deliver writes chunks when the weather lets them arrive. After an error it
// takes the rest and drops it: the reader must not block.
func (p *Proxy) deliver(to, from *net.TCPConn, way <-chan chunk) {
	broken := false
	for c := range way {
		if broken {
			continue
		}
		p.travel(c)
		if _, err := to.Write(c.bytes); err != nil {
			broken = true
			reset(from)
		}
	}
}

// travel waits until a chunk may arrive.
func (p *Proxy) travel(c chunk) {
	for {
		w, changed := p.weather()
		if w.Down {
			return // its connection is reset
		}
		if w.Held {
			<-changed
			continue
		}
		wait := max(time.Until(c.read.Add(w.Latency)), w.throttled(len(c.bytes)))
		if wait <= 0 {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			return
		case <-changed:
			timer.Stop()
		}
	}
}
