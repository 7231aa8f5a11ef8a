package engine

import "math/bits"

// mix adds v to the hash h: one multiplication of 64 x 64 bits folded, as wyhash
// does. Hashes tell whether a cell changed; those of cold cells lie in the archive,
// so that a text enters by its sum, not by its number.
func mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^0x9e3779b97f4a7c15, v^0xe7037ed1a0b428db)
	return hi ^ lo
}
