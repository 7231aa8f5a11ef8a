// Package archive holds what an engine keeps out of memory: ordered bytes, see
// engine.Archive.
package archive
