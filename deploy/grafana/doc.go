// Package grafana declares the overview dashboard, its data source and how
// Grafana finds them, and writes the files that Grafana's provisioning reads.
//
//	provisioning/datasources/gpumeter.yaml  ClickHouse, by the plugin grafana-clickhouse-datasource
//	provisioning/dashboards/gpumeter.yaml   where the dashboards are
//	provisioning/dashboards/overview.json   the dashboard
//
// The files are checked in; a test fails when they are not what the declarations
// say, and every panel's SQL is run on the embedded ClickHouse. Nothing here runs
// Grafana or talks to it.
package grafana

//go:generate go run ./generate
