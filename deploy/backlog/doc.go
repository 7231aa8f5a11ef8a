// Package backlog holds the tests of a processor with much to catch up: that it
// keeps its memory limit, and how fast it is. The broker is embedded, the processor a
// process of its own, as it is installed; what it publishes is held to an engine that
// is fed the same. There is nothing else in it.
package backlog
