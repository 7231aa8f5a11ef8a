package meter

import (
	"context"
	"time"
)

// A change that reaches back for years is published in steps, one in each turn: so
// a transaction stays short, and what is new comes with it. How far the engine has
// come, and as of when what lies behind is, stands in the Position that is committed
// with each step.

// stepCells is how many cells of what reaches back far a turn publishes of each
// partition: a tenth of a second's work, and a megabyte or two.
const stepCells = 1 << 15

// leave notes what the engine of p has left for the next turns, and says when that
// begins and ends.
func (s *shell) leave(p *partition) {
	before := p.at.Behind.Levels
	p.at.Behind.follow(p.engine.Behind(), p.committed)
	switch now := p.at.Behind.Levels; {
	case now > before:
		b := p.engine.Backlog()
		s.cfg.Log.Warn("a change reaches far back; what it changes is published in steps, the newest first",
			"partition", p.number, "since", time.UnixMilli(b.Since).UTC().Format(time.RFC3339), "cells", b.Cells, "resource", b.Resource,
			"remedy", "if no resource is that old: set ledger.from to where the ledger is to begin, on all processors; or end the record (the same resource and from, to = from) and publish one that begins later")
	case now == 0 && before > 0:
		s.cfg.Log.Info("what reached far back is published", "partition", p.number)
	}
}

// backlog is how many cells are behind, at most.
func (p *partition) backlog() int64 {
	if p.at.Behind.Levels == 0 {
		return 0
	}
	return p.engine.Backlog().Cells
}

// retrace brings a fresh engine over what the windows are as of that its predecessor
// had not come to, the earliest first, and holds it where that one was. What the
// archive of p is as of is behind it.
func (s *shell) retrace(ctx context.Context, p *partition, from map[int32]int64) error {
	b := &p.at.Behind
	for i := b.Levels - 1; i >= 0; i-- {
		base := &b.Level[i]
		if base.Horizon == 0 || p.saved.covers(base) {
			continue
		}
		p.engine.Hold(b.tops(i + 1))
		p.reach = base.Horizon
		if err := s.rereadRefs(ctx, []history{{p, p.fed, base.Refs}}); err != nil {
			return err
		}
		p.fed = p.fed.most(base.Refs)
		if err := s.reread(ctx, []*partition{p}, from, map[int32]int64{p.number: base.Samples}); err != nil {
			return err
		}
		from[p.number] = max(from[p.number], base.Samples)
		p.engine.Advance(base.Horizon, base.Final, nil)
	}
	p.engine.Hold(b.tops(0))
	return nil
}

// covers tells whether an archive is as of a later commit than a base.
func (a *saved) covers(base *Level) bool {
	return a != nil && base.Samples <= a.Samples && base.Refs.below(a.position.Refs) && base.Horizon <= a.position.Horizon
}
