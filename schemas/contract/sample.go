package contract

import (
	"math"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Sample is one line of samples.ndjson, in the units of schemas.Samples; a
// value that was not reported is the Absent constant of its width.
type Sample struct {
	Node string
	schemas.Series

	TS           int64
	Utilization  uint32
	SMActive     uint32
	TensorActive uint32
	DRAMActive   uint32
	MemoryUsed   uint64
	Power        uint32
	Energy       uint64
	Temperature  int16
}

// Sample reads one line of samples.ndjson into s.
func (p *Parser) Sample(line []byte, s *Sample) error {
	*s = Sample{
		Series: schemas.Series{MemoryTotal: schemas.Absent64},
		TS:     missing, Utilization: schemas.Absent32, SMActive: schemas.Absent32, TensorActive: schemas.Absent32,
		DRAMActive: schemas.Absent32, MemoryUsed: schemas.Absent64, Power: schemas.Absent32, Energy: schemas.Absent64,
		Temperature: schemas.Absent16,
	}
	err := p.object(line, func(key []byte) *Error { return p.sampleField(key, s) })
	if err == nil {
		err = required("ts", s.TS, "node", s.Node, "gpu", s.GPU)
	}
	return asError(err)
}

func (p *Parser) sampleField(key []byte, s *Sample) *Error {
	switch string(key) {
	case "ts":
		return p.time("ts", &s.TS)
	case "node":
		return p.text("node", &s.Node)
	case "gpu":
		return p.text("gpu", &s.GPU)
	case "slice":
		return p.text("slice", &s.Slice)
	case "gpu_model":
		return p.text("gpu_model", &s.Model)
	case "interval_seconds":
		return p.interval(&s.Interval)
	case "utilization":
		return p.fraction("utilization", &s.Utilization)
	case "sm_active":
		return p.fraction("sm_active", &s.SMActive)
	case "tensor_active":
		return p.fraction("tensor_active", &s.TensorActive)
	case "dram_active":
		return p.fraction("dram_active", &s.DRAMActive)
	case "memory_used_bytes":
		return p.amount64("memory_used_bytes", &s.MemoryUsed)
	case "memory_total_bytes":
		return p.amount64("memory_total_bytes", &s.MemoryTotal)
	case "power_watts":
		return p.amount32("power_watts", 3, &s.Power)
	case "energy_joules":
		return p.amount64("energy_joules", &s.Energy)
	case "temperature_celsius":
		return p.temperature(&s.Temperature)
	default:
		return p.ignore("", key)
	}
}

// interval reads a cadence in seconds: whole milliseconds, half up, at least 1.
func (p *Parser) interval(to *uint32) *Error {
	v, absent, err := p.amount("interval_seconds", 3, math.MaxUint32)
	switch *to = uint32(v); {
	case absent:
		*to = 0
	case v == 0:
		*to = 1
	}
	return err
}

func (p *Parser) temperature(to *int16) *Error {
	*to = schemas.Absent16
	d, text, absent, err := p.decimal("temperature_celsius", schemas.ReasonBadNumber, 0)
	if absent || err != nil {
		return err
	}
	v, ok := d.halfUp()
	if !ok || v <= int64(schemas.Absent16) || v > math.MaxInt16 {
		return badNumber("temperature_celsius", "%s is not a temperature in degrees Celsius", show(text))
	}
	*to = int16(v)
	return nil
}

// Process reads one line of processes.ndjson into r.
func (p *Parser) Process(line []byte, r *schemas.Process) error {
	*r = schemas.Process{TS: missing, PID: -1, SMUtilization: schemas.Absent32, MemoryUsed: schemas.Absent64}
	err := p.object(line, func(key []byte) *Error { return p.processField(key, r) })
	if err == nil {
		err = required("ts", r.TS, "node", r.Node, "gpu", r.GPU)
	}
	if err == nil && r.PID < 0 {
		err = badField("pid", "is missing: it is required")
	}
	return asError(err)
}

func (p *Parser) processField(key []byte, r *schemas.Process) *Error {
	switch string(key) {
	case "ts":
		return p.time("ts", &r.TS)
	case "node":
		return p.text("node", &r.Node)
	case "gpu":
		return p.text("gpu", &r.GPU)
	case "slice":
		return p.text("slice", &r.Slice)
	case "pid":
		return p.count("pid", &r.PID)
	case "allocation":
		return p.text("allocation", &r.Allocation)
	case "sm_utilization":
		return p.fraction("sm_utilization", &r.SMUtilization)
	case "memory_used_bytes":
		return p.amount64("memory_used_bytes", &r.MemoryUsed)
	default:
		return p.ignore("", key)
	}
}

// count reads an optional whole number that is not negative; null is -1.
func (p *Parser) count(field string, to *int64) *Error {
	*to = -1
	d, text, absent, err := p.decimal(field, schemas.ReasonBadNumber, 0)
	if absent || err != nil {
		return err
	}
	v, ok := d.halfUp()
	if d.negative || d.rest != restNone || !ok {
		return badNumber(field, "%s is not a whole number from 0 on", show(text))
	}
	*to = v
	return nil
}
