package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"time"
)

// exporterVersion is what the agent stands beside.
const exporterVersion = "v1.12.1"

// startExporters starts two node_exporters, one scraped each second as the agent
// samples, one each 15 seconds as is usual. missing says why there are none.
func startExporters(ctx context.Context, o options, dir string) (all []*service, missing error) {
	binary := o.exporter
	if binary == "" {
		binary = filepath.Join(dir, "node_exporter")
		err := command(ctx, dir, []string{"GOBIN=" + dir, "GOWORK=off"}, "go", "install", "github.com/prometheus/node_exporter@"+exporterVersion)
		if err != nil {
			return nil, err
		}
	}
	for _, every := range []time.Duration{time.Second, 15 * time.Second} {
		address, err := freeAddress()
		if err != nil {
			return all, err
		}
		s := &service{
			name: "node_exporter " + exporterVersion[1:] + ", each " + every.String(), url: "http://" + address + "/metrics", every: every,
			cmd: exec.Command(binary, "--web.listen-address="+address, "--log.level=error"),
		}
		if err := s.start(ctx); err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, nil
}
