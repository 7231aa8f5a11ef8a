//go:build !cgo || !linux

package nvml

import (
	"errors"
	"log/slog"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"
)

func TestBuildWithoutCgoSaysSo(t *testing.T) {
	src, err := New(testConfig(), Env{Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Run(t.Context(), &rows{}); !errors.Is(err, errNoCgo) {
		t.Errorf("got %v", err)
	}
}
