package grafana

import (
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// A Kind is how a panel draws its rows.
type Kind int

// The kinds. Each wants its columns in an order of its own.
const (
	Stat   Kind = iota // one row of numbers, drawn large
	Series             // time, text, number: a stacked band for each text
	Shares             // as Series, but each band as its share of the whole
	Bars               // text, number: a bar for each row
	Table              // anything
)

// A Type is what Grafana needs to know of a column.
type Type int

// The types of columns.
const (
	Time   Type = iota // DateTime, DateTime64
	Text               // String, Enum
	Number             // integers, Float64, Decimal; Nullable ones too
)

// A Column is one column of a panel's result.
type Column struct {
	Name string
	Type Type
	Unit string // Grafana's name of the unit; "" = plain
}

// A Panel is what one panel shows, and the SQL behind it.
type Panel struct {
	Title   string
	Says    string // the description: what to read off it
	Kind    Kind
	Width   uint32 // of 24
	Columns []Column
	SQL     string
}

// Grafana's names of units.
const (
	money   = "" // with two decimals: the currency is a variable, not a unit
	percent = "percent"
	share   = "percentunit"
	seconds = "s"
	hours   = "h"
)

// minInterval is the least time between two points: a window.
const minInterval = "1m"

func (p Panel) height() uint32 {
	if p.Kind == Stat {
		return 4
	}
	return 9
}

// builder is p for the dashboard. Links to a panel name its id.
func (p Panel) builder(id uint32) cog.Builder[dashboard.Panel] {
	switch p.Kind {
	case Stat:
		return p.stat().Id(id)
	case Bars:
		return p.bars().Id(id)
	case Table:
		return p.table().Id(id)
	}
	return p.series().Id(id)
}

func (p Panel) stat() *stat.PanelBuilder {
	b := stat.NewPanelBuilder().Title(p.Title).Description(p.Says).Datasource(source()).Span(p.Width).Height(p.height()).
		WithTarget(p.target()).Decimals(2).ColorMode(common.BigValueColorModeNone).GraphMode(common.BigValueGraphModeNone).
		Orientation(common.VizOrientationVertical).TextMode(common.BigValueTextModeValueAndName).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	for _, c := range p.drawn() {
		b.OverrideByName(c.Name, c.properties())
	}
	return b
}

func (p Panel) bars() *bargauge.PanelBuilder {
	b := bargauge.NewPanelBuilder().Title(p.Title).Description(p.Says).Datasource(source()).Span(p.Width).Height(p.height()).
		WithTarget(p.target()).Decimals(2).Min(0).Orientation(common.VizOrientationHorizontal).
		DisplayMode(common.BarGaugeDisplayModeBasic).ReduceOptions(common.NewReduceDataOptionsBuilder().Values(true).Limit(25)).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdFixed).FixedColor("blue"))
	return b
}

func (p Panel) table() *table.PanelBuilder {
	b := table.NewPanelBuilder().Title(p.Title).Description(p.Says).Datasource(source()).Span(p.Width).Height(p.height()).
		WithTarget(p.target()).Decimals(2).Filterable(true)
	for _, c := range p.drawn() {
		b.OverrideByName(c.Name, c.properties())
	}
	return b
}

func (p Panel) series() *timeseries.PanelBuilder {
	stacking := common.StackingModeNormal
	if p.Kind == Shares {
		stacking = common.StackingModePercent
	}
	b := timeseries.NewPanelBuilder().Title(p.Title).Description(p.Says).Datasource(source()).Span(p.Width).Height(p.height()).
		WithTarget(p.target()).Interval(minInterval).Min(0).Decimals(2).Unit(p.Columns[len(p.Columns)-1].Unit).
		FillOpacity(60).LineWidth(0).ShowPoints(common.VisibilityModeNever).
		Stacking(common.NewStackingConfigBuilder().Mode(stacking).Group("A")).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for _, s := range stateColours() {
		b.OverrideByName(s.state, []dashboard.DynamicConfigValue{{Id: "color", Value: map[string]string{"mode": "fixed", "fixedColor": s.colour}}})
	}
	return b
}

// drawn are the columns that are not drawn as the panel's others.
func (p Panel) drawn() []Column {
	return slices.DeleteFunc(slices.Clone(p.Columns), func(c Column) bool { return c.Unit == "" })
}

// properties are what one column looks like.
func (c Column) properties() []dashboard.DynamicConfigValue {
	list := []dashboard.DynamicConfigValue{{Id: "unit", Value: c.Unit}}
	if c.Unit == percent {
		list = append(list,
			dashboard.DynamicConfigValue{Id: "min", Value: 0},
			dashboard.DynamicConfigValue{Id: "max", Value: 100},
			dashboard.DynamicConfigValue{Id: "decimals", Value: 1},
			dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: map[string]string{"type": "gauge", "mode": "basic"}})
	}
	return list
}

// A stateColour is the colour of a state wherever it is drawn.
type stateColour struct{ state, colour string }

func stateColours() []stateColour {
	return []stateColour{
		{"active", "green"},
		{"idle_held", "orange"},
		{"idle", "red"},
		{"unallocated", "blue"},
		{"unavailable", "purple"},
		{"unknown", "#808080"},
	}
}
