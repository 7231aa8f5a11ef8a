//go:build cgo && linux

package nvml

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkCalls is what one call of each kind takes from Go to the fake library
// and back: the binding's part of it, to which a real driver adds its own.
func BenchmarkCalls(b *testing.B) {
	cfg := quick()
	cfg.Library = fakeLibrary(b)
	script := filepath.Join(b.TempDir(), "script")
	lines := append(hopper(1), "all static 1", "0 pids 1,2,3,4,5,6,7,8,9,10")
	if err := os.WriteFile(script, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Setenv("FAKE_NVML", script)
	opened, err := openDriver(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	// Not closed: the symbols of a library that was unloaded must not be called.
	d := opened.gpus()[0].(*device)
	var r reading
	d.readActivity(&d.whole, &r)
	c := d.whole.counters
	for name, call := range map[string]func(){
		"utilisation": func() { ask(d, true, d.whole.handle.GetUtilizationRates) },
		"memory":      func() { d.readMemory(&d.whole, &r) },
		"power":       func() { ask(d, true, d.whole.handle.GetPowerUsage) },
		"energy":      func() { ask(d, true, d.whole.handle.GetTotalEnergyConsumption) },
		"counters":    func() { d.judge(c.next.Get(d.whole.handle)) },
		"activity":    func() { d.readMetrics(c.last, c.next, &r) },
		"processes":   func() { d.listProcesses(&d.whole) },
		"mig":         func() { d.migMode() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}
