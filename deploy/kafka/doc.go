// Package kafka runs real Apache Kafka, one node or three, for the tests that an
// embedded broker cannot stand for: transactions that outlive a kill -9 of the
// broker, leaders that change, TLS and passwords as Kafka checks them. Any client
// works against it unchanged.
//
// It installs the jars once with Maven (Home), formats and starts the nodes
// (Start), says where they listen, and does to each what happens to nodes: Kill,
// Pause, Resume, Stop, Restart. It knows nothing of gpumeter's topics.
//
// Each node is broker and controller and a process of its own. It dies with this
// process. What listens where, all on loopback:
//
//	clients ──(Advertise: a proxy may stand here)──► PLAINTEXT, SASL_SSL, SSL
//	nodes among themselves, this package ──────────► INTERNAL, CONTROLLER
//
// It is not a way to run Kafka: it has small heaps, short timeouts, listeners
// without passwords, and passwords in the arguments of a process.
//
// It needs Java 17 and Maven, on Linux. Tests call package kafkatest, which skips
// them where nobody asked for a real broker.
package kafka
