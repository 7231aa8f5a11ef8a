package schemas

// Absent marks a value that was not reported. Missing is never zero.
const (
	Absent16 int16  = -1 << 15
	Absent32 uint32 = 1<<32 - 1
	Absent64 uint64 = 1<<64 - 1
)

// DefaultInterval is the cadence, in milliseconds, of a source that names none.
const DefaultInterval = 10_000

// A Series is what the samples of one GPU or MIG slice have in common.
type Series struct {
	GPU         string `col:"gpu" doc:"GPU UUID or other id, unique on its node"`
	Slice       string `col:"slice" doc:"MIG instance of the GPU, empty for the whole device"`
	Model       string `col:"gpu_model" doc:"product name of the GPU"`
	Interval    uint32 `col:"interval" unit:"ms" doc:"cadence of the source; 0 = not reported (10 s is assumed)"`
	MemoryTotal uint64 `col:"memory_total_bytes" unit:"By" doc:"memory of the GPU or slice"`
}

// Samples is a batch of readings of the GPUs of one node. All columns have the
// same length; Index points into Series. Rows may be in any order and repeat.
// A value that was not reported is the Absent constant of its width.
type Samples struct {
	Node   string
	Series []Series

	Index        []uint16 `col:"series" doc:"index into the series of this message"`
	TS           []int64  `col:"ts" unit:"ms" doc:"event time, Unix milliseconds UTC"`
	Utilization  []uint32 `col:"utilization" unit:"ppm" doc:"share of time in which a kernel ran"`
	SMActive     []uint32 `col:"sm_active" unit:"ppm" doc:"mean share of busy multiprocessors"`
	TensorActive []uint32 `col:"tensor_active" unit:"ppm" doc:"share of cycles in which the tensor pipes were busy"`
	DRAMActive   []uint32 `col:"dram_active" unit:"ppm" doc:"share of cycles in which device memory was busy"`
	MemoryUsed   []uint64 `col:"memory_used_bytes" unit:"By" doc:"device memory in use"`
	Power        []uint32 `col:"power" unit:"mW" doc:"power drawn"`
	Energy       []uint64 `col:"energy_joules" unit:"J" doc:"energy counter since driver load, whole joules"`
	Temperature  []int16  `col:"temperature_celsius" unit:"Cel" doc:"GPU core temperature, whole degrees"`
}

// Len is the number of rows.
func (s *Samples) Len() int { return len(s.TS) }

// Reset empties s and keeps its capacity.
func (s *Samples) Reset() {
	s.Node, s.Series = "", s.Series[:0]
	s.Index, s.TS = s.Index[:0], s.TS[:0]
	s.Utilization, s.SMActive, s.TensorActive, s.DRAMActive = s.Utilization[:0], s.SMActive[:0], s.TensorActive[:0], s.DRAMActive[:0]
	s.MemoryUsed, s.Power, s.Energy, s.Temperature = s.MemoryUsed[:0], s.Power[:0], s.Energy[:0], s.Temperature[:0]
}

// A Process is one reading of one process on a GPU.
type Process struct {
	TS            int64  `col:"ts" unit:"ms" doc:"event time, Unix milliseconds UTC"`
	Node          string `col:"node" doc:"node the GPU is in"`
	GPU           string `col:"gpu" doc:"GPU id"`
	Slice         string `col:"slice" doc:"MIG instance, empty for the whole device"`
	PID           int64  `col:"pid" doc:"process id on the node"`
	Allocation    string `col:"allocation" doc:"allocation that owns the process, empty when unknown"`
	SMUtilization uint32 `col:"sm_utilization" unit:"ppm" doc:"share of multiprocessor time of this process"`
	MemoryUsed    uint64 `col:"memory_used_bytes" unit:"By" doc:"device memory of this process"`
}
