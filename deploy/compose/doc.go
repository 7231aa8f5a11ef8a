// Package compose holds everything on one machine for docker compose: Kafka,
// ClickHouse, Grafana, and the three stages as services, with a synthetic fleet as
// the first source. docs/deploy.md says how to start it and what to change.
//
// There is no code in it beside the probe of the health checks. Its tests read
// the files with the library that docker compose uses, load every configuration
// as the binaries do, and try the users of ClickHouse on the embedded engine.
// They start no container.
package compose
