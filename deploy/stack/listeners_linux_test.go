package stack

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas/service"
	"github.com/gpumeter/gpumeter/sink"
)

// Nobody beyond this machine is listened to unless a person writes so: neither by
// what keys are by default, nor by any socket of what is embedded.
func TestDefaultsListenOnLoopback(t *testing.T) {
	for name, cfg := range map[string]any{
		"collector": struct {
			Shell service.Config   `koanf:",squash"`
			Stage collector.Config `koanf:",squash"`
		}{service.DefaultConfig(9460), collector.DefaultConfig()},
		"processor": struct {
			Shell service.Config   `koanf:",squash"`
			Stage processor.Config `koanf:",squash"`
		}{service.DefaultConfig(9461), processor.DefaultConfig()},
		"sink": struct {
			Shell service.Config `koanf:",squash"`
			Stage sink.Config    `koanf:",squash"`
		}{service.DefaultConfig(9462), sink.DefaultConfig()},
		"gpumeter": struct {
			Shell service.Config `koanf:",squash"`
			Stage Config         `koanf:",squash"`
		}{service.DefaultConfig(0), DefaultConfig()},
	} {
		listens := 0
		for _, k := range service.Keys(cfg) {
			if !strings.Contains("."+k.Name+".", ".listen.") {
				continue
			}
			listens++
			host, _, err := net.SplitHostPort(k.Default)
			if k.Default != "" && (err != nil || !net.ParseIP(host).IsLoopback()) {
				t.Errorf("%s: %s is %q", name, k.Name, k.Default)
			}
		}
		if listens == 0 {
			t.Errorf("%s: no key of a listener", name)
		}
	}
}

func TestEmbeddedSocketsAreOnLoopback(t *testing.T) {
	c := DefaultConfig()
	c.Data = t.TempDir()
	open(t, c)
	err := service.Run(t.Context(), "t", service.DefaultConfig(0), io.Discard, func(context.Context, *service.Process) error {
		found := listening(t)
		// metrics, broker, two of the relay, two of the engine itself
		if len(found) < 6 {
			t.Errorf("only %v", found)
		}
		for _, address := range found {
			if !address.IsLoopback() {
				t.Errorf("listens on %v", address)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stateListen is TCP_LISTEN in /proc/net/tcp.
const stateListen = "0A"

// listening are the addresses on which this process and its children listen.
func listening(t *testing.T) (all []net.IP) {
	t.Helper()
	mine := sockets(t)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			f := strings.Fields(lines.Text())
			if len(f) < 10 || f[3] != stateListen || !mine["socket:["+f[9]+"]"] {
				continue
			}
			host, _, _ := strings.Cut(f[1], ":")
			ip, err := hex.DecodeString(host)
			if err != nil {
				t.Fatal(err)
			}
			for word := range slices.Chunk(ip, 4) { // each is in the machine's order
				slices.Reverse(word)
			}
			all = append(all, ip)
		}
		_ = file.Close()
	}
	return all
}

// sockets are those that this process and its children have open.
func sockets(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	pids := []string{fmt.Sprint(os.Getpid())}
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		if text, err := os.ReadFile(list); err == nil {
			pids = append(pids, strings.Fields(string(text))...)
		}
	}
	for _, pid := range pids {
		links, _ := filepath.Glob("/proc/" + pid + "/fd/*")
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil {
				found[target] = true
			}
		}
	}
	return found
}
