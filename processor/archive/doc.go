// Package archive holds what an engine keeps out of memory: ordered bytes, see
// engine.Archive. A Disk is one directory, for one engine; it changes with the
// transactions of its owner, says as of which one it is, and knows when its bytes
// are not what was written. A Memory is for tests.
//
// It does not know what the bytes mean, and nothing is lost with a directory: all
// that is in it follows from Kafka's topics.
package archive
