// Package collector reads sources and publishes what they say to Kafka: the
// first stage of the pipeline. Run is the whole of it, for the command
// gpumeter-collector and for a replay in one process alike. It sorts,
// deduplicates and judges nothing beyond "can it be read".
package collector
