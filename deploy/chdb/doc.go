// Package chdb runs an embedded ClickHouse: libchdb.so, the library form of
// the real server, hosted by a child process and reached over its real native
// and HTTP listeners. Any ClickHouse client works against it unchanged.
//
// It fetches the library once with the npm client (Library), starts and
// supervises the engine (Start), and finds an engine that another process has
// open on the same directory (Find). It knows nothing of gpumeter's tables.
//
// The engine lives in a child process because a C++ abort must not take the
// caller along and because only a process can be restarted. The child is the
// caller's own executable started again, so the main function of every binary
// that calls Start, test binaries included, begins with
//
//	if code, ran := chdb.RunChild(); ran {
//		os.Exit(code)
//	}
//
// What listens where:
//
//	client ──► relay in the parent (NativeAddr, HTTPAddr) ──► engine in the child (free loopback ports)
//
// The public ports therefore survive a restart of the engine, and a client's
// connection reset reaches the engine as an orderly end of stream: its
// listeners abort the process when a connection is reset within an INSERT.
//
// Linux on amd64 with glibc only; elsewhere Start says so and names the fix.
package chdb
