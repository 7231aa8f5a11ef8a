package kafka

import (
	"net"
	"testing"
)

func TestPortsAreOneClustersOnly(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	seen := map[string]bool{}
	for range 20 {
		addresses, held, err := reserve(15)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = held.Close() }()
		for _, a := range addresses {
			if seen[a] {
				t.Fatalf("%s is given twice", a)
			}
			seen[a] = true
		}
	}
}

func TestPortsOfOthersAreLeftAlone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	for _, a := range freeOf(port) {
		if a == l.Addr().String() {
			t.Errorf("%s is listened on", a)
		}
	}
}
