package owners

import (
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestMetrics(t *testing.T) {
	n := newNode(t)
	reader := sdk.NewManualReader()
	registered, err := n.tracker.Register(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	n.run(program{pid: 70, start: 10, comm: "Xorg"}, program{pid: 71, start: 10})
	n.see(20, on("A", 70, 71, 99, 98)...)

	got := map[string]int64{}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			why, _ := p.Attributes.Value("reason")
			got[m.Name+" "+why.AsString()] = p.Value
		}
	}
	for name, want := range map[string]int64{
		"gpumeter.collector.owners.unknown gone": 2, "gpumeter.collector.owners.unknown ignored": 1,
		"gpumeter.collector.owners.unknown unreadable": 0, "gpumeter.collector.owners.state.failures ": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %d, want %d", name, v, want)
		}
	}
	if err := registered.Unregister(); err != nil {
		t.Error(err)
	}
}
