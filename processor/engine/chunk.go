package engine

import (
	"encoding/binary"
	"errors"
)

// A chunk is the samples of one series in a stretch of time, sorted, as bytes:
//
//	samples | models | model, model, ... | column, column, ...
//
// A column is one byte, constant or not, then its first value, then the differences
// between neighbours, which are small: most of the twelve columns of a chunk are
// constant, and a sample takes some ten bytes instead of 64.
type chunkCoder struct {
	columns [sampleColumns][]uint64
	out     []byte
}

const (
	sampleColumns = 12
	modelColumn   = 11
)

var errChunk = errors.New("a chunk of samples does not end where it says")

// values are the columns of a sample but for the model, whose number is the
// engine's own.
func (p *sample) values(model uint64) [sampleColumns]uint64 {
	return [sampleColumns]uint64{
		uint64(p.ts), p.mem, p.memTotal, p.energy, uint64(p.interval), uint64(p.util), uint64(p.sm), uint64(p.tensor), uint64(p.dram),
		uint64(p.power), uint64(p.temp), model,
	}
}

func sampleOf(v *[sampleColumns]uint64, model text) sample {
	return sample{
		ts: int64(v[0]), mem: v[1], memTotal: v[2], energy: v[3], interval: uint32(v[4]), util: uint32(v[5]), sm: uint32(v[6]), tensor: uint32(v[7]), dram: uint32(v[8]),
		power: uint32(v[9]), temp: int16(v[10]), model: model,
	}
}

// encode makes a chunk of sorted samples. It is valid until the next call.
func (c *chunkCoder) encode(list []sample, t *texts) []byte {
	for k := range c.columns {
		c.columns[k] = c.columns[k][:0]
	}
	var models []text
	model := 0
	for i := range list {
		p := &list[i]
		if len(models) == 0 || models[model] != p.model {
			models, model = numbered(models, p.model)
		}
		for k, v := range p.values(uint64(model)) {
			c.columns[k] = append(c.columns[k], v)
		}
	}
	out := binary.AppendUvarint(c.out[:0], uint64(len(list)))
	out = binary.AppendUvarint(out, uint64(len(models)))
	for _, m := range models {
		out = appendName(out, t.all[m])
	}
	for k := range c.columns {
		out = appendColumn(out, c.columns[k])
	}
	c.out = out
	return out
}

// numbered is the place of m in models, where it is appended if it is not there.
func numbered(models []text, m text) ([]text, int) {
	for i := range models {
		if models[i] == m {
			return models, i
		}
	}
	return append(models, m), len(models)
}

func appendColumn(out []byte, values []uint64) []byte {
	if len(values) == 0 {
		return out
	}
	constant := true
	for _, v := range values {
		if v != values[0] {
			constant = false
			break
		}
	}
	if constant {
		return binary.AppendUvarint(append(out, 0), values[0])
	}
	out = append(out, 1)
	last := uint64(0)
	for _, v := range values {
		out = binary.AppendVarint(out, int64(v-last))
		last = v
	}
	return out
}

// decode appends the samples of a chunk to dst.
func (c *chunkCoder) decode(dst []sample, b []byte, t *texts) ([]sample, error) {
	n, b, ok := uvarint(b)
	count, b, ok2 := uvarint(b)
	if !ok || !ok2 || n > uint64(maxChunk) || count > n {
		return dst, errChunk
	}
	models := make([]text, count)
	for i := range models {
		var name string
		if name, b, ok = nameOf(b); !ok {
			return dst, errChunk
		}
		models[i] = t.of(name)
	}
	for k := range c.columns {
		if c.columns[k], b, ok = columnOf(c.columns[k][:0], b, int(n)); !ok {
			return dst, errChunk
		}
	}
	if len(b) > 0 {
		return dst, errChunk
	}
	for i := range int(n) {
		var v [sampleColumns]uint64
		for k := range c.columns {
			v[k] = c.columns[k][i]
		}
		if v[modelColumn] >= count {
			return dst, errChunk
		}
		dst = append(dst, sampleOf(&v, models[v[modelColumn]]))
	}
	return dst, nil
}

// maxChunk is more samples than an hour of a series has: one each ms.
const maxChunk = 3_600_000

func columnOf(dst []uint64, b []byte, n int) ([]uint64, []byte, bool) {
	if n == 0 {
		return dst, b, true
	}
	if len(b) == 0 {
		return dst, b, false
	}
	kind, b := b[0], b[1:]
	if kind == 0 {
		v, rest, ok := uvarint(b)
		for range n {
			dst = append(dst, v)
		}
		return dst, rest, ok
	}
	last := uint64(0)
	for range n {
		d, size := binary.Varint(b)
		if size <= 0 {
			return dst, b, false
		}
		last, b = last+uint64(d), b[size:]
		dst = append(dst, last)
	}
	return dst, b, true
}

func uvarint(b []byte) (uint64, []byte, bool) {
	v, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return v, b[size:], true
}

// nameOf is what appendName appended.
func nameOf(b []byte) (string, []byte, bool) {
	n, b, ok := uvarint(b)
	if !ok || n > uint64(len(b)) {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}
