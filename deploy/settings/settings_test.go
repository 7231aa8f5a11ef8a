package settings

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas/service"
)

func TestWhatWasKeptIsReadBack(t *testing.T) {
	data := t.TempDir()
	made := processor.DefaultRules()
	made.Window, made.Idle = 30*time.Second, processor.Idle{Epsilon: 0.000125, MemoryBytes: 1<<63 + 1}
	made.Ledger.From = 1_704_067_200_250
	if err := Keep(data, made); err != nil {
		t.Fatal(err)
	}
	got := processor.DefaultRules()
	if err := service.Load(&got, service.Sources{Base: File(data)}); err != nil || got != made {
		t.Errorf("%+v, %v", got, err)
	}
	if err := Keep(data, made); err != nil {
		t.Errorf("the same again: %v", err)
	}
}

func TestOtherRulesAreRefused(t *testing.T) {
	data := t.TempDir()
	if err := Keep(data, processor.DefaultRules()); err != nil {
		t.Fatal(err)
	}
	other := processor.DefaultRules()
	other.Idle.Epsilon, other.Ledger.From = 0.05, 1_704_067_200_000
	if err := Keep(data, other); err == nil || !strings.Contains(err.Error(), "idle.epsilon=0.01") || !strings.Contains(err.Error(), "idle.epsilon=0.05") ||
		!strings.Contains(err.Error(), "ledger.from=2024-01-01T00:00:00Z") {
		t.Errorf("%v", err)
	}
	// What does not change the meaning of a row may change.
	same := processor.DefaultRules()
	same.Grace, same.Early.Every, same.State.Samples = time.Hour, 0, 100*time.Hour
	if err := Keep(data, same); err != nil {
		t.Error(err)
	}
}

func TestDamagedSettingsAreAnError(t *testing.T) {
	data := t.TempDir()
	for _, text := range []string{"window: soon\n", "windows: 1m\n"} {
		if err := os.WriteFile(File(data), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Keep(data, processor.DefaultRules()); err == nil || !strings.Contains(err.Error(), "settings.yaml:1") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestLastIsReadBack(t *testing.T) {
	data := t.TempDir()
	if got, err := ReadLast(data); err != nil || got != (Last{}) {
		t.Errorf("before any replay: %+v, %v", got, err)
	}
	for _, want := range []Last{{Horizon: 1675810800000, At: 1782777600000}, {Horizon: 1, Named: true, At: 2}} {
		if err := KeepLast(data, want); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadLast(data); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestDirectoryThatIsMissing(t *testing.T) {
	if err := KeepLast(t.TempDir()+"/none", Last{}); err == nil || !strings.Contains(err.Error(), "last.yaml") {
		t.Errorf("%v", err)
	}
}
