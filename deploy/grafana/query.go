package grafana

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
)

// The data source plugin, and the version that the queries are written for.
const (
	Plugin        = "grafana-clickhouse-datasource"
	PluginVersion = "4.20.0"
)

// Formats of the plugin's results.
const (
	formatSeries = 0
	formatTable  = 1
)

// A query is one of the plugin's, in SQL.
type query struct {
	Source        common.DataSourceRef `json:"datasource"`
	RefID         string               `json:"refId"`
	EditorType    string               `json:"editorType"`
	QueryType     string               `json:"queryType"`
	Format        int                  `json:"format"`
	PluginVersion string               `json:"pluginVersion"`
	SQL           string               `json:"rawSql"`
}

// What the dashboard's builder asks of a query.
var (
	_ variants.Dataquery              = query{}
	_ cog.Builder[variants.Dataquery] = query{}
)

// ImplementsDataqueryVariant marks a query.
func (q query) ImplementsDataqueryVariant() {}

// Equals compares by value.
func (q query) Equals(other variants.Dataquery) bool { return other == variants.Dataquery(q) }

// DataqueryType is the plugin's name.
func (q query) DataqueryType() string { return Plugin }

// Validate has nothing to say: the SQL is judged by the engine, in the tests.
func (q query) Validate() error { return nil }

// Build is q itself.
func (q query) Build() (variants.Dataquery, error) { return q, nil }

// source is the data source that the dashboard's variable names.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr(Plugin), Uid: cog.ToPtr("${datasource}")}
}

// target is the panel's query.
func (p Panel) target() query {
	q := query{Source: source(), RefID: "A", EditorType: "sql", QueryType: "table", Format: formatTable, PluginVersion: PluginVersion, SQL: p.SQL}
	if p.Kind == Series || p.Kind == Shares {
		q.QueryType, q.Format = "timeseries", formatSeries
	}
	return q
}
