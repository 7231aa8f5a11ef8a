// Package service is the shell that every binary shares: typed configuration
// from defaults, a strict YAML file, the environment and --set; logs, metrics
// and health over HTTP; signals, and a stop that has a deadline; a command line
// that teaches. It knows nothing of streams, brokers or the ledger.
//
// A binary composes its configuration from the configurations of its packages,
// with service.Config among them:
//
//	type config struct {
//		service.Config   `koanf:",squash"`
//		collector.Config `koanf:",squash"`
//	}
//
// and hands it with a component to Command. A field is a key by its koanf tag;
// its doc tag is the sentence that --help prints.
package service
