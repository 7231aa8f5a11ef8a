package engine

import "slices"

// An account is what one resource was charged for one GPU: which cells were
// published, and as what. 8 bytes a cell.
type account struct {
	res    *resource
	blocks []*block // by base
	upTo   int64    // end of the last window published; forever = none
	since  int64    // beginning of the first; never = none
}

// maxBlock windows share a block at most.
const maxBlock = 64

// A block is the fingerprints of Engine.perBlock windows: 0 never published, else
// published, with finalBit when as final.
type block struct {
	base  int64 // window number of the first
	cells [maxBlock]uint64
}

// blockOf is how many windows share a block, given how many a chunk has: so many
// that the ends of chunks are ends of blocks.
func blockOf(chunk int64) int64 {
	n := min(chunk, maxBlock)
	for chunk%n != 0 {
		n--
	}
	return n
}

const (
	publishedBit = 2
	finalBit     = 1
)

// account finds or makes the account of res for g.
func (g *gpu) account(res *resource) *account {
	for _, a := range g.accounts {
		if a.res == res {
			return a
		}
	}
	a := &account{res: res, upTo: g.hot, since: never}
	if g.hot != forever {
		a.since = forever // of cold time there may be cells
	}
	g.accounts = append(g.accounts, a)
	return a
}

// fingerprint is the place of a window's fingerprint; window is its number, not
// its time.
func (e *Engine) fingerprint(g *gpu, a *account, window int64) *uint64 {
	base := floorTo(window, e.perBlock)
	i := len(a.blocks) - 1
	if i < 0 || a.blocks[i].base != base {
		var found bool
		i, found = slices.BinarySearchFunc(a.blocks, base, func(b *block, base int64) int { return compareInt(b.base, base) })
		if !found {
			b := &block{base: base}
			if base*e.cfg.Window < g.hot {
				e.recallCells(g, a, b)
			}
			a.blocks = slices.Insert(a.blocks, i, b)
		}
	}
	return &a.blocks[i].cells[window-base]
}

// unheard tells that nothing can have been published of a window.
func (e *Engine) unheard(g *gpu, a *account, window int64) bool {
	base := floorTo(window, e.perBlock)
	_, found := slices.BinarySearchFunc(a.blocks, base, func(b *block, base int64) int { return compareInt(b.base, base) })
	return !found && base*e.cfg.Window >= g.hot
}

// forget drops the blocks, of perBlock windows, that lie between two instants, and
// tells whether there were any.
func (a *account) forget(from, to, window, perBlock int64) bool {
	i := 0
	for i < len(a.blocks) && a.blocks[i].base*window < from {
		i++
	}
	j := i
	for j < len(a.blocks) && (a.blocks[j].base+perBlock)*window <= to {
		j++
	}
	a.blocks = slices.Delete(a.blocks, i, j)
	return j > i
}
