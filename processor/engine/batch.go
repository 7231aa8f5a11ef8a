package engine

import "github.com/gpumeter/gpumeter/schemas"

// flushRows is how many rows a batch has at least when it is handed over, but for
// the last one.
const flushRows = 4096

// A batch collects cells as columns.
type batch struct {
	costs schemas.Costs
	round uint64 // marks the dictionary entries of this batch

	cluster, node, resource, provider, region, sku, gpu, model column
	slice, alloc, user, name, space                            column
	values                                                     [attributes]column
	labels, currency, priceID                                  column

	nobody allocation // whose texts are those of time that nobody holds
}

// A column gives texts their place in a dictionary of one batch without a map:
// seen[t] is round<<32 | index while t is in the dictionary of that round.
type column struct{ seen []uint64 }

func (c *column) add(to *schemas.Text, t text, round uint64, all []string) {
	if int(t) >= len(c.seen) {
		c.seen = append(c.seen, make([]uint64, int(t)+1-len(c.seen)+len(c.seen)/4)...)
	}
	if c.seen[t]>>32 != round {
		c.seen[t] = round<<32 | uint64(len(to.Dict))
		to.Dict = append(to.Dict, all[t])
	}
	to.Index = append(to.Index, uint32(c.seen[t]))
}

// A head is what all rows of a cell share.
type head struct {
	gpu             *gpu
	resource        text
	window          int64
	final, restated uint8
}

// add appends the rows of a cell.
func (e *Engine) add(h head, c *cell) {
	for i := range c.rows {
		e.batch.key(h, c.rows[i].rec, e.texts.all)
		e.batch.row(&c.rows[i], c.runs, e.texts.all)
	}
}

// key appends the columns of the cell. rec is nil when only its key is left of it.
func (b *batch) key(h head, rec *record, all []string) {
	if b.round == 0 {
		b.round = 1
	}
	o, n := &b.costs, b.round
	none := record{}
	if rec == nil {
		rec = &none
	}
	b.cluster.add(&o.Cluster, rec.cluster, n, all)
	b.node.add(&o.Node, h.gpu.node.name, n, all)
	b.resource.add(&o.Resource, h.resource, n, all)
	b.provider.add(&o.Provider, rec.provider, n, all)
	b.region.add(&o.Region, rec.region, n, all)
	b.sku.add(&o.SKU, rec.sku, n, all)
	b.gpu.add(&o.GPU, h.gpu.id, n, all)
	b.model.add(&o.Model, rec.model, n, all)
	o.Window = append(o.Window, h.window)
	o.Finality, o.Restated = append(o.Finality, h.final), append(o.Restated, h.restated)
}

// row appends the columns of a row.
func (b *batch) row(r *row, runs []uint32, all []string) {
	o, n := &b.costs, b.round
	who := r.alloc
	if who == nil {
		who = &b.nobody
	}
	o.WindowStart, o.WindowEnd = append(o.WindowStart, r.from), append(o.WindowEnd, r.to)
	b.slice.add(&o.Slice, r.slice, n, all)
	b.alloc.add(&o.Allocation, who.id, n, all)
	b.user.add(&o.User, who.user, n, all)
	b.name.add(&o.Name, who.title, n, all)
	b.space.add(&o.Namespace, who.space, n, all)
	b.attribute(r.attr, all)
	o.State, o.Attribution = append(o.State, r.state), append(o.Attribution, r.attribution)
	o.GPUMs, o.UsedGPUMs = append(o.GPUMs, r.gpuMs), append(o.UsedGPUMs, r.usedMs)
	o.Utilization, o.SMActive = append(o.Utilization, r.util), append(o.SMActive, r.sm)
	o.MemoryMax, o.Energy = append(o.MemoryMax, r.mem), append(o.Energy, r.energy)
	b.cost(r, all)
	o.PositionFrom, o.PositionTo = append(o.PositionFrom, r.x0), append(o.PositionTo, r.x1)
	o.Runs = append(o.Runs, runs[r.runsFrom:r.runsTo]...)
	o.RunsEnd = append(o.RunsEnd, uint32(len(o.Runs)))
}

func (b *batch) attribute(a *attributed, all []string) {
	o := &b.costs
	for k, to := range [attributes]*schemas.Text{
		&o.Team, &o.Project, &o.CostCenter, &o.Environment, &o.AIModel, &o.ModelVersion, &o.Phase,
	} {
		b.values[k].add(to, a.values[k], b.round, all)
	}
	b.labels.add(&o.Labels, a.labels, b.round, all)
}

func (b *batch) cost(r *row, all []string) {
	o, n := &b.costs, b.round
	currency, id, status := text(0), text(0), schemas.Unpriced
	if r.price != nil {
		currency, id, status = r.price.currency, r.price.id, schemas.Priced
	}
	b.currency.add(&o.Currency, currency, n, all)
	b.priceID.add(&o.PriceID, id, n, all)
	o.PriceStatus = append(o.PriceStatus, status)
	o.ListCost, o.EffectiveCost = append(o.ListCost, r.list), append(o.EffectiveCost, r.list)
	o.UsedCost, o.WasteCost = append(o.UsedCost, r.used), append(o.WasteCost, r.waste)
}

// empty appends a cell that has no rows any more.
func (e *Engine) empty(h head) {
	e.batch.key(h, nil, e.texts.all)
	r := row{attr: &attributed{}, from: h.window, to: h.window, util: schemas.Absent32, sm: schemas.Absent32, mem: schemas.Absent64, energy: schemas.Absent64}
	e.batch.row(&r, nil, e.texts.all)
}

// flush hands over what is there.
func (b *batch) flush(out Output) {
	if b.costs.Len() == 0 {
		return
	}
	out.Costs(&b.costs)
	b.costs.Reset()
	b.round++
}
