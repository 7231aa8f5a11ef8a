package schemas

// StateReleased in an Activity: the allocation no longer holds the GPU.
const StateReleased uint32 = 0

// ActiveStep is in milliseconds: active time is said up to whole steps of it, so
// that a fleet at work says little. It is how late work is known at most.
const ActiveStep = 30_000

// An Activity is a stretch of time in which one GPU or slice, held by one
// allocation, was in one measured state (rules 2 and 4). Time that no sample
// speaks for has no row but where it takes something back, and neither has the
// time after a GPU's newest sample: nothing is said that was not measured. A row
// replaces what earlier records said of its stretch; rows of one GPU in one record
// are in order and disjoint.
//
// A row without allocation is a watermark: all that the samples partition Engine
// had to say of the time before From has been said, except for what comes late
// and the last ActiveStep of what is active.
// Each engine writes one about every second of its time to every partition. Who
// folds an allocation over several nodes waits for the engines of its silent
// GPUs until then: after an outage one engine may be hours ahead of another.
type Activity struct {
	Allocation string `col:"allocation" doc:"allocation that holds it"`
	Node       string `col:"node" doc:"node the GPU is in"`
	GPU        string `col:"gpu" doc:"GPU id"`
	Slice      string `col:"slice" doc:"MIG instance, empty for the whole device"`
	Engine     uint32 `col:"engine" doc:"samples partition that says so"`
	State      uint32 `col:"state" doc:"1 active, 2 idle_held, 3 idle, 6 unknown after all; 0 = released: not held from the start of the stretch on"`
	From       int64  `col:"from" unit:"ms" doc:"start of the stretch"`
	To         int64  `col:"to" unit:"ms" doc:"end of the stretch; equal to from when released"`
	Width      uint32 `col:"width" doc:"GPUs and slices that the allocation holds at the start of the stretch, on all nodes; 0 = it is over"`
	Held       int64  `col:"held" unit:"ms" doc:"first instant of the allocation's hold on any GPU"`
	User       string `col:"user" doc:"user of the allocation"`
	Name       string `col:"name" doc:"name of the allocation"`
	Team       string `col:"team" doc:"attributed team"`
	Phase      string `col:"phase" doc:"attributed phase: the class of workload"`
	Currency   string `col:"currency" doc:"currency of the price at the start of the stretch, empty when unpriced"`
	Cost       int64  `col:"cost" unit:"nano" doc:"list cost of the stretch by rule 8; 0 when unpriced"`
	PerHour    int64  `col:"cost_per_hour" unit:"nano" doc:"list cost of an hour of this hold at the start of the stretch; 0 when unpriced"`
	MemoryUsed uint64 `col:"memory_used_bytes" unit:"By" doc:"greatest memory in use that samples of this state reported, absent when none did"`
}

// KindIdle is a finding about an allocation that does nothing.
const KindIdle = "idle"

// Status and severity of a finding.
const (
	StatusOpen     = "open"
	StatusResolved = "resolved"

	SeverityNotice = "notice"
	SeverityAlert  = "alert"
)

// A Finding is one revision of something worth a person's attention. An
// allocation has at most one open finding of a kind.
type Finding struct {
	Finding     string   `col:"finding" doc:"id: kind/allocation/opened_at, the same in all revisions"`
	Revision    int64    `col:"revision" doc:"1, 2, 3, ..."`
	Kind        string   `col:"kind" doc:"idle"`
	Status      string   `col:"status" doc:"open or resolved"`
	Severity    string   `col:"severity" doc:"notice or alert; never falls"`
	OpenedAt    int64    `col:"opened_at" unit:"ms" doc:"event time at which it was a notice"`
	ThresholdAt int64    `col:"threshold_at" unit:"ms" doc:"event time at which it became an alert, 0 = not yet"`
	UpdatedAt   int64    `col:"updated_at" unit:"ms" doc:"event time up to which this revision counts"`
	ResolvedAt  int64    `col:"resolved_at" unit:"ms" doc:"event time at which it was over, 0 = open"`
	Allocation  string   `col:"allocation" doc:"allocation it is about"`
	Node        string   `col:"node" doc:"node of its GPUs, the first of several in byte order"`
	GPUs        []string `col:"gpus" doc:"its GPUs as gpu or gpu/slice, sorted by node, gpu, slice"`
	User        string   `col:"user" doc:"user of the allocation"`
	Name        string   `col:"name" doc:"name of the allocation"`
	Team        string   `col:"team" doc:"attributed team"`
	BurntCost   int64    `col:"burnt_cost" unit:"nano" doc:"list cost of its idle time since the idleness began"`
	CostPerHour int64    `col:"cost_per_hour" unit:"nano" doc:"list cost of an hour of all its GPUs"`
	Currency    string   `col:"currency" doc:"currency of the costs, empty when unpriced"`
	Evidence    []Label  `col:"evidence" doc:"measurements behind it, sorted by key"`
	Advice      string   `col:"advice" doc:"what to do"`
}
