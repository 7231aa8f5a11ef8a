package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/schemas/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCommand(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tags.csv"), []byte("match,set,effective_from\nuser=a,team=b,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	brokers := "brokers=" + strings.Join(c.ListenAddrs(), ",")
	for _, run := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"good", []string{"--set", "http.listen=127.0.0.1:0", "--set", brokers, "--set", "source.files.dir=" + dir}, 0, "stream=tags rows=1"},
		{"nothing told", nil, 1, "name at least one as host:port"},
		{"all that is wrong at once", []string{"--set", "batch.rows=0"}, 1, "batch.rows: 0 is not from 1"},
		{"unknown key", []string{"--set", "batch.row=1"}, 1, `did you mean "batch.rows"`},
		{"a fleet", []string{"--set", "http.listen=", "--set", brokers, "--set", "source.kind=fleet", "--set", "source.fleet.gpus=8", "--set", "source.fleet.speed=10000", "--set", "source.fleet.start=2026-06-01T00:00:00Z", "--set", "source.fleet.duration=1m"}, 0, "stream=resources rows=1"},
		{"a fleet of half a node", []string{"--set", brokers, "--set", "source.kind=fleet", "--set", "source.fleet.gpus=4"}, 1, "source.fleet.gpus: 4 is not a multiple of 8"},
		{"a node of nobody", []string{"--set", brokers, "--set", "source.kind=nvml", "--set", "owners.proc=proc"}, 1, `owners.proc: "proc" is not an absolute path`},
		{"a node without driver", []string{"--set", "http.listen=", "--set", brokers, "--set", "source.kind=nvml", "--set", "source.nvml.provider=here", "--set", "source.nvml.library=/no/such/library.so"}, 1, "/no/such/library.so"},
		{"a spool of a byte", []string{"--set", brokers, "--set", "source.kind=fleet", "--set", "spool.dir=" + dir, "--set", "spool.bytes=1"}, 1, "spool.bytes: 1 is less than"},
		{"a spool for files", []string{"--set", brokers, "--set", "source.files.dir=" + dir, "--set", "spool.dir=" + dir}, 1, "spool.dir: source.kind files has no use for it"},
		{"no such source", []string{"--set", brokers, "--set", "source.kind=dcgm"}, 1, `source.kind: "dcgm" is not files, fleet or nvml`},
		{"no directory", []string{"--set", "http.listen=", "--set", brokers, "--set", "source.files.dir=/no/such/place"}, 1, "/no/such/place"},
	} {
		t.Run(run.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := service.Main(command(), run.args, &stderr); code != run.code || !strings.Contains(stderr.String(), run.says) {
				t.Errorf("exit code %d, want %d and %q in\n%s", code, run.code, run.says, stderr.String())
			}
		})
	}
}
