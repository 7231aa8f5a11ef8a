// Package pipeline holds the tests of the whole: files in, collector, Kafka,
// processor, Kafka, sink, ClickHouse, rows out. They are here because only deploy
// may import all of it; there is nothing else in it.
package pipeline
