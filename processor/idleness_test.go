package processor

import (
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/processor/idle"
)

func TestIdleClasses(t *testing.T) {
	i := DefaultDetect().Idle
	var c IdleClass
	const text = "interactive share=0.05 notice=15m alert=2h grace=10m"
	if err := c.UnmarshalText([]byte(text)); err != nil || c.String() != text {
		t.Fatalf("%v, %v", c, err)
	}
	var d IdleClass
	if err := d.UnmarshalText([]byte("batch alert=1h")); err != nil {
		t.Fatal(err)
	}
	i.Classes = []IdleClass{c, d}
	cfg, err := i.Config()
	if err != nil {
		t.Fatal(err)
	}
	const minute = int64(time.Minute / time.Millisecond)
	if got, want := cfg.Classes["interactive"], (idle.Settings{Share: 50_000, Notice: 15 * minute, Alert: 120 * minute, Grace: 10 * minute}); got != want {
		t.Errorf("interactive: %+v", got)
	}
	if got, want := cfg.Classes["batch"], (idle.Settings{Share: 20_000, Notice: 5 * minute, Alert: 60 * minute}); got != want {
		t.Errorf("batch takes the rest from all: %+v", got)
	}
	for text, want := range map[string]string{
		"": "write a phase", "batch": "write a phase", "batch alert": "name=value", "batch alert=1h alert=2h": "once",
		"batch alert=soon": "alert=soon", "batch colour=red": "none of", "batch share=x": "share=x",
	} {
		if err := c.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	i.Classes = append(i.Classes, d)
	if _, err := i.Config(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("twice: %v", err)
	}
	i = DefaultDetect().Idle
	i.Notice = time.Hour
	if _, err := i.Config(); err == nil || !strings.Contains(err.Error(), "detect.idle") {
		t.Errorf("a notice after the alert: %v", err)
	}
}
