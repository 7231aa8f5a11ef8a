// Package failover holds the tests of what becomes of the ledger when processors
// and brokers die, freeze, come and go, on real Kafka brokers: nothing is lost and
// nothing is there twice. They need Apache Kafka (see kafkatest); there is nothing
// else in this package.
//
// A test publishes a made-up input chapter by chapter, disturbs the processors,
// which are processes of their own (this test binary, started again), and holds
// what a reader of committed records finds in gpumeter.cost to the oracle, row by
// row, and gpumeter.findings to a detector that was never disturbed.
package failover
