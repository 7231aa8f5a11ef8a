// Package broker is how every stage reaches Kafka: the address and security of
// the brokers, the client options with their consequences, the topics with
// their settings, and what to do with an error. It neither produces nor
// consumes.
package broker
