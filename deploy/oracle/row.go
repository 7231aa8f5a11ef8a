package oracle

import "math"

// Absent is a value of a row that was not reported. Missing is never zero.
const Absent = math.MinInt64

// A State is what a GPU-millisecond was.
type State uint8

// The states, in the order of the enum of gpumeter.cost.
const (
	Active State = iota + 1
	IdleHeld
	Idle
	Unallocated
	Unavailable
	Unknown
)

// String is the name in gpumeter.cost.
func (s State) String() string {
	names := [...]string{"", "active", "idle_held", "idle", "unallocated", "unavailable", "unknown"}
	if int(s) < len(names) {
		return names[s]
	}
	return "not a state"
}

// A Label is one key and its value.
type Label struct{ Key, Value string }

// A Row is one cost fact: the columns of gpumeter.cost that the rules fix.
type Row struct {
	// The key. Times are Unix ms.
	WindowStart, WindowEnd int64
	Resource, GPU          string
	Slice, Allocation      string
	State                  State

	Cluster, Node, Provider, Region, SKU, GPUModel string
	User, Name, Namespace                          string

	Team, Project, CostCenter, Environment string
	Model, ModelVersion, Phase             string

	Labels      []Label // sorted by key
	Attribution string  // none, exclusive, given, equal, slice

	GPUMs, UsedGPUMs      int64 // ms
	Utilization, SMActive int64 // ppm, or Absent
	MemoryMax             int64 // bytes, or Absent
	Energy                int64 // mJ, or Absent

	Priced                   bool // false: currency and price id are empty, the costs NULL
	Currency, PriceID        string
	ListCost, EffectiveCost  int64 // nano-units
	UsedCost, WasteCost      int64 // nano-units
	PositionFrom, PositionTo int64 // ppm of a GPU on the resource

	Runs []int64 // pairs of ms since the start of the cell's window: from, to, from, to, …
}
