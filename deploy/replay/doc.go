// Package replay runs the whole pipeline over a directory of files, as fast as
// it goes, until everything is queryable: collector, processor and sink in one
// process, the same code as their binaries, between an embedded or a given
// broker and ClickHouse.
//
//	start    sink, then processor: downstream first
//	publish  the collector reads the files to their end; all is acknowledged
//	tick     one record names the horizon and says that it is the last
//	settle   the processor has applied the tick; the sink has committed the ends
//	stop     processor, then sink: upstream first
//
// Events are a set: a second replay into the same data directory adds to it.
package replay
