// Package nvml samples the GPUs of this node by NVIDIA's management library: a
// source of samples, of the processes on each GPU, and of the resource record
// of the node.
//
// At every multiple of the interval there is a round: each GPU is asked by a
// goroutine of its own, and what was answered before the deadline becomes
// samples with the round's time. A call that hangs in the driver keeps its
// goroutine, and so only its GPU, out of the rounds until it returns; a second
// call is never begun beside it, and what it brings then is too old to be used.
//
//	round ──► GPU 0 ──► reading ─┐
//	          GPU 1 ──► reading ─┼─► samples of one ts ──► sink
//	          GPU 2     (hangs)  ┘   (no sample: unknown, never idle)
//
// What the driver does not say is absent, never zero. Two things are left out
// although a call would return something: utilisation of a device in MIG mode,
// which NVML does not support, and the activity of a MIG instance that shares
// its GPU instance with another one, since the counters are of both.
//
// The package calls the driver through cgo. Without cgo, or on anything but
// Linux, it compiles and Run says so. It does not know who owns a process
// (package owners does), nor when rows are sent (package publish).
package nvml
