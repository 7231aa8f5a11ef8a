package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startAgent builds the collector and the fake library, and starts the one over
// the other.
func startAgent(ctx context.Context, o options, dir, brokers string) (*service, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "gpumeter-collector")
	if err := command(ctx, root, nil, "go", "build", "-o", binary, "./collector/cmd/gpumeter-collector"); err != nil {
		return nil, err
	}
	library, err := buildFake(ctx, root, dir)
	if err != nil {
		return nil, err
	}
	pids, end, err := startHolders(o.gpus * o.processes)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte(fakeScript(o, pids)), 0o600); err != nil {
		return nil, errors.Join(err, end())
	}
	address, err := freeAddress()
	if err != nil {
		return nil, errors.Join(err, end())
	}
	cmd := exec.Command(binary,
		"--set", "brokers="+brokers, "--set", "http.listen="+address, "--set", "log.level=WARN",
		"--set", "source.kind=nvml", "--set", "source.nvml.library="+library, "--set", "source.nvml.provider=bench")
	cmd.Env = append(os.Environ(), "FAKE_NVML="+script)
	s := &service{name: "gpumeter-collector", url: "http://" + address + "/metrics", every: 15 * time.Second, cmd: cmd, alsoEnd: end}
	return s, s.start(ctx)
}

// repository is the directory of go.work.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no go.work above the working directory: run this inside the repository")
}

func command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// buildFake builds the library that the collector's tests use.
func buildFake(ctx context.Context, root, dir string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/NVIDIA/go-nvml")
	list.Dir = filepath.Join(root, "collector")
	header, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("find nvml.h: %w", err)
	}
	library := filepath.Join(dir, "libnvidia-ml.so.1")
	return library, command(ctx, list.Dir, nil, "gcc", "-O2", "-shared", "-fPIC", "-pthread",
		"-I"+filepath.Join(strings.TrimSpace(string(header)), "pkg", "nvml"), "-o", library, "nvml/testdata/fake_nvml.c")
}

// startHolders starts n processes that hold the GPUs, as far as the fake library
// says.
func startHolders(n int) (pids []string, end func() error, err error) {
	var holders []*exec.Cmd
	end = func() error {
		var errs []error
		for _, h := range holders {
			errs = append(errs, h.Process.Kill())
			_ = h.Wait() // of a process that was killed
		}
		return errors.Join(errs...)
	}
	for range n {
		h := exec.Command("sleep", "3600")
		if err := h.Start(); err != nil {
			return nil, end, fmt.Errorf("start a process: %w", err)
		}
		holders = append(holders, h)
		pids = append(pids, strconv.Itoa(h.Process.Pid))
	}
	return pids, end, nil
}

// fakeScript is a node of Hoppers at work: every call is answered, activity
// counters too, and utilisation changes from call to call.
func fakeScript(o options, pids []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "all static 1\nall gpus %d\n", o.gpus)
	b.WriteString("all name NVIDIA H100 80GB HBM3\nall util auto\nall total 85899345920\nall reserved 500000000\nall used 42949672960\n" +
		"all power 500000\nall energy auto\nall temp 61\nall gpm 1\nall sm auto\nall tensor auto\nall dram auto\nall mig 0\nall pidmem 4294967296\n")
	for g := range o.gpus {
		fmt.Fprintf(&b, "%d uuid GPU-%08x-0000-4000-8000-000000000000\n", g, g)
		if mine := pids[g*o.processes : (g+1)*o.processes]; len(mine) > 0 {
			fmt.Fprintf(&b, "%d pids %s\n", g, strings.Join(mine, ","))
		}
	}
	return b.String()
}
