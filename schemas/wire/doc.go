// Package wire turns batches of rows into Kafka records and back.
package wire
