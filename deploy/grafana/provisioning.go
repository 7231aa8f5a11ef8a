package grafana

import (
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Where Grafana reads its provisioning, and the secret that the data source needs.
const (
	Mount        = "/etc/grafana/provisioning"
	PasswordFile = "/run/secrets/clickhouse_grafana"
)

// A variable is one that a query fills.
type variable struct {
	name, sql string
	multi     bool
}

func variables() []variable {
	return []variable{
		{"currency", `SELECT DISTINCT currency FROM gpumeter.prices ORDER BY currency`, false},
		{"cluster", `SELECT DISTINCT cluster FROM gpumeter.resources ORDER BY cluster`, true},
		{"team", `SELECT DISTINCT ` + team + ` AS team FROM gpumeter.cost WHERE $__timeFilter(window) ORDER BY team`, true},
	}
}

func (v variable) builder() cog.Builder[dashboard.VariableModel] {
	b := dashboard.NewQueryVariableBuilder(v.name).Query(dashboard.StringOrMap{String: cog.ToPtr(v.sql)}).Datasource(source()).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Multi(v.multi).IncludeAll(v.multi)
	if v.multi { // without a current value the plugin cannot tell that all are picked
		b.Current(dashboard.VariableOption{Text: several("All"), Value: several("$__all")})
	}
	return b
}

func several(value string) dashboard.StringOrArrayOfString {
	return dashboard.StringOrArrayOfString{ArrayOfString: []string{value}}
}

// build is the dashboard for Grafana, in the form that every Grafana since 11
// takes from files.
func build() (dashboard.Dashboard, error) { //nolint:staticcheck // the form that follows it is not for files everywhere yet
	b := dashboard.NewDashboardBuilder("GPU money"). //nolint:staticcheck // as above
								Uid("gpumeter-overview").Tags([]string{"gpumeter"}).
								Description("What GPUs cost, where it goes, and what stands idle. Made from Go declarations in deploy/grafana.").
								Time("now-6h", "now").Refresh("30s").Timezone(common.TimeZoneUtc).Readonly().Tooltip(dashboard.DashboardCursorSyncCrosshair).
								WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Type(Plugin))
	for _, v := range variables() {
		b.WithVariable(v.builder())
	}
	id := uint32(0)
	next := func() uint32 { id++; return id }
	for _, row := range Overview() {
		b.WithRow(dashboard.NewRowBuilder(row.Title).Id(next()))
		for _, p := range row.Panels {
			b.WithPanel(p.builder(next()))
		}
	}
	return b.Build()
}

// A datasources file, as Grafana reads it. Grafana replaces $NAME by the
// environment and $__file{…} by what the file holds.
type datasources struct {
	APIVersion  int          `yaml:"apiVersion"`
	Datasources []datasource `yaml:"datasources"`
}

type datasource struct {
	Name      string            `yaml:"name"`
	UID       string            `yaml:"uid"`
	Type      string            `yaml:"type"`
	Access    string            `yaml:"access"`
	IsDefault bool              `yaml:"isDefault"`
	JSON      map[string]string `yaml:"jsonData"`
	Secure    map[string]string `yaml:"secureJsonData"`
}

func clickHouse() datasources {
	return datasources{1, []datasource{{
		Name: "gpumeter", UID: "gpumeter", Type: Plugin, Access: "proxy", IsDefault: true,
		JSON: map[string]string{
			"host": "$CLICKHOUSE_HOST", "port": "$CLICKHOUSE_PORT", "secure": "$CLICKHOUSE_SECURE", "protocol": "native",
			"username": "grafana", "defaultDatabase": "gpumeter", "version": PluginVersion,
		},
		Secure: map[string]string{"password": "$__file{" + PasswordFile + "}"},
	}}}
}

// A providers file says where dashboards are.
type providers struct {
	APIVersion int        `yaml:"apiVersion"`
	Providers  []provider `yaml:"providers"`
}

type provider struct {
	Name                  string            `yaml:"name"`
	Folder                string            `yaml:"folder"`
	Type                  string            `yaml:"type"`
	DisableDeletion       bool              `yaml:"disableDeletion"`
	UpdateIntervalSeconds int               `yaml:"updateIntervalSeconds"`
	Options               map[string]string `yaml:"options"`
}

func dashboards() providers {
	return providers{1, []provider{{
		Name: "gpumeter", Folder: "gpumeter", Type: "file", DisableDeletion: true, UpdateIntervalSeconds: 60,
		Options: map[string]string{"path": Mount + "/dashboards"},
	}}}
}

const generated = "# Generated from the declarations in deploy/grafana/*.go by go generate; do not edit.\n"

// Files are the files of Grafana's provisioning by their path from this package's
// folder.
func Files() (map[string][]byte, error) {
	overview, err := build()
	if err != nil {
		return nil, fmt.Errorf("build the dashboard: %w", err)
	}
	text, err := json.MarshalIndent(overview, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the dashboard: %w", err)
	}
	files := map[string][]byte{"provisioning/dashboards/overview.json": append(text, '\n')}
	for name, value := range map[string]any{
		"provisioning/datasources/gpumeter.yaml": clickHouse(),
		"provisioning/dashboards/gpumeter.yaml":  dashboards(),
	} {
		text, err := yaml.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		files[name] = append([]byte(generated), text...)
	}
	return files, nil
}
