package engine

// What an engine finds final when it begins was published by its predecessor, as it
// is. So the fingerprints of those windows can wait until something is about to
// change what they follow from, or until they go to the archive:
//
//	hot ... inherited.from            inherited.to ... final
//	 | fingerprints |     none so far       | fingerprints |
//
// For a large fleet that is most of what a restart would have to compute. Its price:
// whatever changes what final windows of a GPU are computed of, and so marks some of
// them, calls recollect before. What follows the newest sample of a series in time,
// in order, changes none.

// inherit takes the windows of g in [from, to) as published and returns where those
// begin that it does not take: of a window that the end of a replay cut short the
// horizon is a part. While there is a backlog it takes none: what is behind was not
// published, and must not come between what is inherited. What was inherited before
// a backlog began stays so: a mark, which is what makes a window pending, has it
// computed as of before the mark.
func (e *Engine) inherit(g *gpu, from, to int64) int64 {
	from, end := max(from, g.beginning(e.cfg.Window)), min(to, floorTo(e.horizon, e.cfg.Window))
	if len(e.behind) > 0 || from >= end {
		return from
	}
	if from != g.inherited.to { // what lies between is not inherited
		e.recollect(g)
	}
	if g.inherited.from >= g.inherited.to {
		g.inherited.from = from
		e.heirs++
	}
	g.inherited.to = end
	return end
}

// recollect computes the fingerprints of what g has inherited.
func (e *Engine) recollect(g *gpu) {
	s := g.inherited
	if s.from >= s.to {
		return
	}
	g.inherited = stretch{}
	e.heirs--
	e.each(g, max(s.from, g.lost, g.hot), s.to, true, nil)
}

func (e *Engine) recollectAll(gpus []*gpu) {
	for i := 0; i < len(gpus) && e.heirs > 0; i++ {
		e.recollect(gpus[i])
	}
}

// recollectHeld does it for the GPUs that al holds, and those that its events name.
func (e *Engine) recollectHeld(al *allocation) {
	if e.heirs == 0 {
		return
	}
	for i := range al.holds {
		e.recollect(al.holds[i].gpu)
	}
	for i := range al.events {
		for _, ref := range al.events[i].GPUs {
			if n := e.nodes[ref.Node]; n != nil && n.gpus[ref.GPU] != nil {
				e.recollect(n.gpus[ref.GPU])
			}
		}
	}
}
