package schemas

import "time"

// Names of the streams. A stream's topic is Prefix + name.
const (
	Prefix            = "gpumeter."
	StreamSamples     = "samples"
	StreamProcesses   = "processes"
	StreamAllocations = "allocations"
	StreamResources   = "resources"
	StreamPrices      = "prices"
	StreamTags        = "tags"
	StreamTicks       = "ticks"
	StreamCost        = "cost"
	StreamActivity    = "activity"
	StreamFindings    = "findings"
	StreamNotices     = "notices"
	StreamDeadLetters = "dead_letters"
	StreamQuarantine  = "quarantine"
)

// A Stream is one stream's topic and row type. Partitioned streams have the
// configured number of partitions, fixed for life, and record keys hashed by
// murmur2; the others have exactly one, so that one offset says what was read.
type Stream struct {
	Name        string
	Doc         string
	Key         string        // what the record key is
	Partitioned bool          // by key; false = one partition, read whole by every processor
	Retention   time.Duration // 0 = for ever
	Row         any           // zero value of the struct that declares the columns
}

// Topic is the stream's topic name.
func (s Stream) Topic() string { return Prefix + s.Name }

// Streams lists every stream, in the order in which data flows.
func Streams() []Stream {
	const day = 24 * time.Hour
	return []Stream{
		{StreamSamples, "Readings of GPUs and MIG slices.", "node", true, 45 * day, Samples{}},
		{StreamProcesses, "Readings of processes on GPUs.", "node", true, 7 * day, Process{}},
		{StreamAllocations, "Starts, updates and ends of holds on GPUs.", "allocation", false, 400 * day, Allocation{}},
		{StreamResources, "Instances and servers that are paid for.", "node", false, 0, Resource{}},
		{StreamPrices, "Prices of a whole resource-hour.", "provider/region/sku/pricing_category", false, 0, Price{}},
		{StreamTags, "Attribution rules.", "match", false, 0, Tag{}},
		{StreamTicks, "The clock: the broker's append time, or a replay's horizon.", "none", false, day, Tick{}},
		{StreamCost, "Cost facts, cell by cell, newest last.", "node", true, 7 * day, Costs{}},
		{StreamActivity, "What the GPUs of each allocation did, stretch by stretch, as soon as samples say so.", "allocation", true, 7 * day, Activity{}},
		{StreamFindings, "What is worth a person's attention, with money: every revision.", "allocation", true, 400 * day, Finding{}},
		{StreamNotices, "What was said about findings, and where, step by step.", "none", true, 400 * day, Notice{}},
		{StreamDeadLetters, "What was refused or is reported, with place and reason.", "stream", false, 45 * day, DeadLetter{}},
		{StreamQuarantine, "Records that are never read again, because reading them ended the process.", "none", false, 0, Quarantined{}},
	}
}
