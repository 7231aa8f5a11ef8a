package kafka

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gpumeter/gpumeter/deploy/lock"
)

// Ports of nodes are below those that the kernel gives to outgoing connections: a
// node that is started again finds its own still free. They are taken in blocks,
// each with a lock, for a port that was looked at is not listened on for seconds,
// and other clusters look for ports meanwhile.
const (
	firstPort = 20_000
	blocks    = 400
	blockSize = 30
)

// reserve returns n different loopback addresses that are the caller's until it
// closes held.
func reserve(n int) (addresses []string, held *os.File, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, nil, fmt.Errorf("find the cache directory (set HOME or XDG_CACHE_HOME): %w", err)
	}
	dir := filepath.Join(cache, "gpumeter", "kafka-ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("make the directory of the locks of ports: %w", err)
	}
	for _, block := range rand.Perm(blocks) {
		first := firstPort + block*blockSize
		held, err := lock.Try(filepath.Join(dir, strconv.Itoa(first)))
		switch {
		case errors.Is(err, lock.ErrHeld):
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("kafka: reserve ports: %w", err)
		}
		if free := freeOf(first); len(free) >= n {
			return free[:n], held, nil
		}
		_ = held.Close() // programs of others have them
	}
	return nil, nil, fmt.Errorf("kafka: no %d free ports in a block of %d from %d on", n, blockSize, firstPort)
}

// freeOf are the loopback addresses of a block on which nobody listens.
func freeOf(first int) (free []string) {
	for port := first; port < first+blockSize; port++ {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if l, err := net.Listen("tcp", address); err == nil && l.Close() == nil {
			free = append(free, address)
		}
	}
	return free
}
