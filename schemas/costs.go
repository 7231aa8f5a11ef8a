package schemas

// States of a GPU-millisecond, in the order of the ClickHouse enum.
const (
	StateActive uint8 = iota + 1
	StateIdleHeld
	StateIdle
	StateUnallocated
	StateUnavailable
	StateUnknown
)

// How a row got its part of the device.
const (
	AttributionNone      uint8 = iota // nobody holds it
	AttributionExclusive              // the only holder of a whole device, no share given
	AttributionGiven                  // by a given share
	AttributionEqual                  // divided equally
	AttributionSlice                  // a MIG slice
)

// Whether a row has money.
const (
	Unpriced uint8 = iota
	Priced
)

// How sure a row is.
const (
	FinalityEarly uint8 = iota
	FinalityFinal
	FinalityBilled
)

// A Text is a column of strings as a dictionary: row i is Dict[Index[i]].
type Text struct {
	Index []uint32
	Dict  []string
}

// Costs is a batch of cost facts. Consecutive rows of one (Node, Resource, GPU,
// Window) are one cell: the whole of what is known of that GPU in that window.
// Columns tagged of:"cell" are equal in all rows of a cell; the others are a
// row's own, what is known of its resource too: a later record of the resource
// may begin within the window.
// A newer cell replaces the older one row and all. A cell that became empty is
// one row with State 0 and nothing else but its key.
type Costs struct {
	// Where and when.
	Cluster  Text    `col:"cluster" doc:"cluster of the resource"`
	Node     Text    `col:"node" of:"cell" doc:"node"`
	Resource Text    `col:"resource" of:"cell" doc:"instance or server paid for"`
	Provider Text    `col:"provider" doc:"cloud or owner"`
	Region   Text    `col:"region" doc:"region"`
	SKU      Text    `col:"sku" doc:"instance type"`
	GPU      Text    `col:"gpu" of:"cell" doc:"GPU id"`
	Model    Text    `col:"gpu_model" doc:"product name, from the resource"`
	Window   []int64 `col:"window" of:"cell" unit:"ms" doc:"start of the cell's window"`
	Finality []uint8 `col:"finality" of:"cell" doc:"0 early, 1 final, 2 billed"`
	Restated []uint8 `col:"restated" of:"cell" doc:"1: a final revision of this cell was published before"`

	// The row.
	WindowStart   []int64  `col:"window_start" unit:"ms" doc:"start of the span"`
	WindowEnd     []int64  `col:"window_end" unit:"ms" doc:"end of the span"`
	Slice         Text     `col:"slice" doc:"MIG instance, empty for the whole device"`
	Allocation    Text     `col:"allocation" doc:"allocation that holds it, empty for none"`
	User          Text     `col:"user" doc:"user of the allocation"`
	Name          Text     `col:"name" doc:"name of the allocation"`
	Namespace     Text     `col:"namespace" doc:"namespace of the allocation"`
	Team          Text     `col:"team" doc:"attributed team"`
	Project       Text     `col:"project" doc:"attributed project"`
	CostCenter    Text     `col:"cost_center" doc:"attributed cost center"`
	Environment   Text     `col:"environment" doc:"attributed environment"`
	AIModel       Text     `col:"model" doc:"attributed model"`
	ModelVersion  Text     `col:"model_version" doc:"attributed model version"`
	Phase         Text     `col:"phase" doc:"attributed phase"`
	Labels        Text     `col:"labels" doc:"labels of the allocation as a JSON object, keys sorted; empty for none"`
	State         []uint8  `col:"state" doc:"1 active, 2 idle_held, 3 idle, 4 unallocated, 5 unavailable, 6 unknown; 0 marks an empty cell"`
	Attribution   []uint8  `col:"attribution" doc:"0 none, 1 exclusive, 2 given, 3 equal, 4 slice"`
	GPUMs         []int64  `col:"gpu_ms" unit:"ms" doc:"GPU-milliseconds, rule 8's G over position x runs"`
	UsedGPUMs     []int64  `col:"used_gpu_ms" unit:"ms" doc:"floor(gpu_ms x load)"`
	Utilization   []uint32 `col:"utilization_avg" unit:"ppm" doc:"time-weighted mean of utilization where reported"`
	SMActive      []uint32 `col:"sm_active_avg" unit:"ppm" doc:"time-weighted mean of sm_active where reported"`
	MemoryMax     []uint64 `col:"memory_used_max_bytes" unit:"By" doc:"greatest memory in use of the samples that speak for the row"`
	Energy        []uint64 `col:"energy_joules" unit:"mJ" doc:"energy of the row by the counter"`
	Currency      Text     `col:"currency" doc:"currency of the price, empty when unpriced"`
	ListCost      []int64  `col:"list_cost" unit:"nano" doc:"rule 8's R over position x runs"`
	EffectiveCost []int64  `col:"effective_cost" unit:"nano" doc:"by bill where billed, else list_cost"`
	UsedCost      []int64  `col:"used_cost" unit:"nano" doc:"floor(effective_cost x load)"`
	WasteCost     []int64  `col:"waste_cost" unit:"nano" doc:"effective_cost of idle and idle_held, else 0"`
	PriceID       Text     `col:"price_id" doc:"the price row in force, empty when unpriced"`
	PriceStatus   []uint8  `col:"price_status" doc:"0 unpriced (costs are NULL), 1 priced"`

	// What re-prices the row without samples.
	PositionFrom []uint32 `col:"position_from" unit:"ppm of a GPU" doc:"x0 of rule 8 on the resource"`
	PositionTo   []uint32 `col:"position_to" unit:"ppm of a GPU" doc:"x1 of rule 8 on the resource"`
	RunsEnd      []uint32 // end of row i's runs in Runs
	Runs         []uint32 `col:"runs" unit:"ms" doc:"pairs from, to in milliseconds since window"`
}

// Len is the number of rows.
func (c *Costs) Len() int { return len(c.WindowStart) }

// Reset empties t and keeps its capacity.
func (t *Text) Reset() { t.Index, t.Dict = t.Index[:0], t.Dict[:0] }

// Reset empties c and keeps its capacity.
func (c *Costs) Reset() {
	for _, t := range []*Text{
		&c.Cluster, &c.Node, &c.Resource, &c.Provider, &c.Region, &c.SKU, &c.GPU, &c.Model,
		&c.Slice, &c.Allocation, &c.User, &c.Name, &c.Namespace, &c.Team, &c.Project, &c.CostCenter, &c.Environment,
		&c.AIModel, &c.ModelVersion, &c.Phase, &c.Labels, &c.Currency, &c.PriceID,
	} {
		t.Reset()
	}
	c.Window, c.WindowStart, c.WindowEnd = c.Window[:0], c.WindowStart[:0], c.WindowEnd[:0]
	c.Finality, c.Restated, c.State, c.Attribution = c.Finality[:0], c.Restated[:0], c.State[:0], c.Attribution[:0]
	c.GPUMs, c.UsedGPUMs, c.Utilization, c.SMActive = c.GPUMs[:0], c.UsedGPUMs[:0], c.Utilization[:0], c.SMActive[:0]
	c.MemoryMax, c.Energy = c.MemoryMax[:0], c.Energy[:0]
	c.ListCost, c.EffectiveCost, c.UsedCost, c.WasteCost = c.ListCost[:0], c.EffectiveCost[:0], c.UsedCost[:0], c.WasteCost[:0]
	c.PriceStatus, c.PositionFrom, c.PositionTo = c.PriceStatus[:0], c.PositionFrom[:0], c.PositionTo[:0]
	c.RunsEnd, c.Runs = c.RunsEnd[:0], c.Runs[:0]
}
