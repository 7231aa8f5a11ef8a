package broker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gpumeter/gpumeter/schemas/broker"
)

// ErrInUse is returned by Start when another process has the directory open.
var ErrInUse = errors.New("another process has it open")

// Options of a broker.
type Options struct {
	Dir    string // data directory, made when missing; empty = in memory, gone with the process
	Listen string // host:port on loopback; empty = any free port
}

// A Server is a running broker.
type Server struct {
	cluster *kfake.Cluster
	lock    *os.File // nil in memory
	running string   // file that is there while the broker runs
	killed  bool
}

// Start runs a broker until Stop.
func Start(o Options) (*Server, error) {
	port, err := loopbackPort(o.Listen)
	if err != nil {
		return nil, err
	}
	s := &Server{}
	if o.Dir != "" {
		if err := s.open(o.Dir); err != nil {
			return nil, err
		}
	}
	opts := []kfake.Opt{
		kfake.Ports(port),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			// kfake asks for every interface; nobody else is to reach it.
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return net.Listen(network, net.JoinHostPort("127.0.0.1", port))
		}),
		kfake.BrokerConfigs(map[string]string{"message.max.bytes": strconv.Itoa(broker.MaxRecordBytes)}),
	}
	if o.Dir != "" {
		opts = append(opts, kfake.DataDir(filepath.Join(o.Dir, "log")))
	}
	if s.cluster, err = kfake.NewCluster(opts...); err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded broker: %w", err), s.release())
	}
	return s, nil
}

// loopbackPort is the port to listen on, 0 = any.
func loopbackPort(listen string) (int, error) {
	if listen == "" {
		return 0, nil
	}
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return 0, fmt.Errorf("listen address of the embedded broker: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return 0, fmt.Errorf("the embedded broker has no passwords and listens on loopback only, not on %s: use brokers of your own with --brokers", listen)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("listen address of the embedded broker: %s: %w", listen, err)
	}
	return int(port), nil
}

// open takes the directory for this process.
func (s *Server) open(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the broker's directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "gpumeter.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the broker's directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return errors.Join(fmt.Errorf("lock the broker's directory %s: %w", dir, err), lock.Close())
	}
	s.lock = lock
	s.running = filepath.Join(dir, "running")
	if _, err := os.Stat(s.running); err == nil {
		s.killed = true
		return nil
	}
	if err := os.WriteFile(s.running, nil, 0o600); err != nil {
		return errors.Join(fmt.Errorf("mark the broker's directory: %w", err), s.release())
	}
	return nil
}

// Killed reports whether the process that had the directory before did not stop
// in order, then or ever: see the package comment for what may be wrong.
func (s *Server) Killed() bool { return s.killed }

// Addresses are the host:port of the broker, for broker.Config.
func (s *Server) Addresses() []string { return s.cluster.ListenAddrs() }

// String is Addresses as --brokers takes it.
func (s *Server) String() string { return strings.Join(s.Addresses(), ",") }

// Stop ends the broker and writes what it has to its directory.
func (s *Server) Stop() error {
	s.cluster.Close()
	if s.running != "" && !s.killed {
		if err := os.Remove(s.running); err != nil {
			return errors.Join(fmt.Errorf("mark the broker's directory as closed: %w", err), s.release())
		}
	}
	return s.release()
}

func (s *Server) release() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}
