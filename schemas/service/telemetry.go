package service

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// cardinality is how many label sets one instrument may have before further
// ones are folded into one. The SDK's 2,000 is less than the partitions and
// reasons of a large cluster; this many cost a few megabytes.
const cardinality = 20_000

// Telemetry is where the metrics of one process meet: OpenTelemetry's on one
// side, Prometheus's text on the other. Every instance has its own registry, so
// that several components in one process, or tests, do not see each other.
type Telemetry struct {
	provider *sdkmetric.MeterProvider
	registry *prometheus.Registry
}

// NewTelemetry makes the metrics of the service of that name, with those of the
// Go runtime and the process.
func NewTelemetry(name, version string) (*Telemetry, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(collectors.NewGoCollector()); err != nil {
		return nil, fmt.Errorf("metrics of the Go runtime: %w", err)
	}
	if err := registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})); err != nil {
		return nil, fmt.Errorf("metrics of the process: %w", err)
	}
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("prometheus exporter: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(exporter),
		sdkmetric.WithCardinalityLimit(cardinality),
		sdkmetric.WithResource(resource.NewSchemaless(
			attribute.String("service.name", name), attribute.String("service.version", version))),
	)
	return &Telemetry{provider: provider, registry: registry}, nil
}

// Meter makes the instruments of one package.
func (t *Telemetry) Meter(scope string) metric.Meter { return t.provider.Meter(scope) }

// Handler serves the metrics.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Close ends the collection.
func (t *Telemetry) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }
