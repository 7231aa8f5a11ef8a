package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A service is a process that is measured while its metrics are scraped.
type service struct {
	name    string
	url     string // of its metrics
	every   time.Duration
	cmd     *exec.Cmd
	alsoEnd func() error

	cpu, wall  time.Duration // while it was measured
	rss, peak  float64       // bytes, at the end of that
	threads    int
	began      time.Duration // CPU when it began
	scrapes    int
	scrapeFail error
}

// start runs the command and waits until its metrics answer.
func (s *service) start(ctx context.Context) error {
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := s.scrape(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s does not answer at %s: %w", s.name, s.url, err), s.stop())
		}
	}
}

// stop ends the process as a person would.
func (s *service) stop() error {
	if s.cmd.Process == nil {
		return nil
	}
	err := s.cmd.Process.Signal(os.Interrupt)
	if wait := s.cmd.Wait(); wait != nil && !strings.Contains(wait.Error(), "interrupt") {
		err = errors.Join(err, fmt.Errorf("%s: %w", s.name, wait))
	}
	if s.alsoEnd != nil {
		err = errors.Join(err, s.alsoEnd())
	}
	return err
}

func (s *service) scrape(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// measure scrapes all services as often as each is, and takes their CPU time
// between the end of the warm-up and the end.
func measure(ctx context.Context, o options, all []*service) error {
	ctx, cancel := context.WithTimeout(ctx, o.warm+o.measured)
	defer cancel()
	var scraping sync.WaitGroup
	for _, s := range all {
		scraping.Go(func() { s.keepScraping(ctx) })
	}
	warm := time.NewTimer(o.warm)
	defer warm.Stop()
	select {
	case <-warm.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	from := time.Now()
	for _, s := range all {
		s.began = s.used()
	}
	<-ctx.Done()
	scraping.Wait()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	for _, s := range all {
		s.cpu, s.wall = s.used()-s.began, time.Since(from)
		if err := errors.Join(s.memory(), s.scrapeFail); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (s *service) keepScraping(ctx context.Context) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, err := s.scrape(ctx); err != nil && ctx.Err() == nil {
				s.scrapeFail = err
			}
			s.scrapes++
		case <-ctx.Done():
			return
		}
	}
}

// used is the CPU time of the process so far, to the nanosecond: the kernel
// counts it at each switch, not by ticks.
func (s *service) used() time.Duration {
	var t unix.Timespec
	clock := int32(^s.cmd.Process.Pid)<<3 | 2 // the clock of another process, as clock_getcpuclockid makes it
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

func (s *service) percent() float64 { return 100 * s.cpu.Seconds() / s.wall.Seconds() }

// memory reads what the process holds now and held at most.
func (s *service) memory() error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, text, _ := strings.Cut(lines.Text(), ":")
		v, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 64)
		switch key {
		case "VmRSS":
			s.rss = v * 1024
		case "VmHWM":
			s.peak = v * 1024
		case "Threads":
			s.threads = int(v)
		}
	}
	return nil
}

// acknowledged reads from the agent's metrics how many rows of each stream the
// broker has.
func (s *service) acknowledged() (map[string]float64, error) {
	text, err := s.scrape(context.Background())
	if err != nil {
		return nil, err
	}
	rows := map[string]float64{}
	line := regexp.MustCompile(`(?m)^gpumeter_collector_rows_acknowledged_total\{.*stream="(\w+)".*\} (\S+)$`)
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		if rows[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// freeAddress is one that nobody listens on at the moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
