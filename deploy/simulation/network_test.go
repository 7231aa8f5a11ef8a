//go:build synctests

package simulation

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A cable is how one process reaches the brokers. Pulled, it looks to them like a
// process that was killed: no goodbye, and nothing that it still says arrives.
type cable struct {
	network *kfake.VirtualNetwork

	mu    sync.Mutex
	plugs map[*plug]bool
	cut   bool
	delay time.Duration // of each write
}

func newCable(network *kfake.VirtualNetwork) *cable {
	return &cable{network: network, plugs: map[*plug]bool{}}
}

// latency of a request. Without any, a client that asks again at once would do so
// for ever at one instant.
const latency = time.Millisecond

// refused is what a dial gives where nobody listens.
func refused() error { return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED} }

func (c *cable) option() kgo.Opt {
	return kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
		if c.isCut() {
			return nil, refused()
		}
		conn, err := c.network.DialContext(ctx, network, host)
		if err != nil {
			return nil, refused()
		}
		p := &plug{Conn: conn, cable: c}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.cut {
			_ = conn.Close()
			return nil, refused()
		}
		c.plugs[p] = true
		return p, nil
	})
}

func (c *cable) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// pull cuts the cable; shake only ends its connections: what was asked may have
// been done, and the answer is lost.
func (c *cable) pull()  { c.end(true) }
func (c *cable) shake() { c.end(false) }

func (c *cable) end(cut bool) {
	c.mu.Lock()
	c.cut = c.cut || cut
	plugs := c.plugs
	c.plugs = map[*plug]bool{}
	c.mu.Unlock()
	for p := range plugs {
		_ = p.Conn.Close()
	}
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}

// slow makes every write take up to d; 0 ends that.
func (c *cable) slow(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = d
}

// A plug is one connection of a cable.
type plug struct {
	net.Conn
	cable *cable
}

func (p *plug) Write(b []byte) (int, error) {
	p.cable.mu.Lock()
	delay := p.cable.delay
	p.cable.mu.Unlock()
	time.Sleep(latency + rand.N(delay+1))
	return p.Conn.Write(b)
}

func (p *plug) Close() error {
	p.cable.mu.Lock()
	delete(p.cable.plugs, p)
	p.cable.mu.Unlock()
	return p.Conn.Close()
}
