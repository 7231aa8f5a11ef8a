// Package processor turns events into cost facts: the second stage of the
// pipeline. Run is the whole of it, for the command gpumeter-processor and for a
// replay in one process alike. The rules are in package engine, the Kafka shell
// around them in package meter; this package is their configuration.
package processor
