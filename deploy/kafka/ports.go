package kafka

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports of nodes are below those that the kernel gives to outgoing connections: a
// node that is started again finds its own still free.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freeAddresses returns n different loopback addresses that were free a moment ago.
func freeAddresses(n int) ([]string, error) {
	var free []string
	for range 100 * n {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() // all stay open until the last is chosen
		if free = append(free, address); len(free) == n {
			return free, nil
		}
	}
	return nil, fmt.Errorf("kafka: fewer than %d free ports from %d to %d", n, firstPort, lastPort)
}
