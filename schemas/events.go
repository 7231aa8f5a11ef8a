package schemas

// Events of an allocation.
const (
	EventStart  = "start"
	EventUpdate = "update"
	EventEnd    = "end"
)

// A GPURef names a GPU or slice that an allocation holds.
type GPURef struct {
	Node  string `col:"node" doc:"node"`
	GPU   string `col:"gpu" doc:"GPU id"`
	Slice string `col:"slice" doc:"MIG instance, empty for the whole device"`
	Share int32  `col:"share" unit:"ppm" doc:"share of the device in (0, 1000000]; 0 = not given"`
}

// A Label is one key and its value. Lists of labels are sorted by key.
type Label struct {
	Key   string `col:"key" doc:"key"`
	Value string `col:"value" doc:"value"`
}

// An Allocation is one event of a workload's hold on GPUs.
type Allocation struct {
	TS          int64    `col:"ts" unit:"ms" doc:"event time, Unix milliseconds UTC"`
	Event       string   `col:"event" doc:"start, update or end"`
	Allocation  string   `col:"allocation" doc:"id of the allocation, unique over all time"`
	HasGPUs     bool     `col:"has_gpus" doc:"the event names gpus (an empty list is not the same as none)"`
	GPUs        []GPURef `col:"gpus" doc:"what it holds from ts on, sorted by node, gpu, slice, share"`
	User        string   `col:"user" doc:"who asked for it"`
	Name        string   `col:"name" doc:"job or pod name"`
	Namespace   string   `col:"namespace" doc:"Kubernetes namespace or scheduler partition"`
	Image       string   `col:"image" doc:"container image or code version"`
	Command     []string `col:"command" doc:"arguments"`
	HasLabels   bool     `col:"has_labels" doc:"the event names labels"`
	Labels      []Label  `col:"labels" doc:"labels from ts on, sorted by key"`
	ReqGPUs     int64    `col:"requested_gpus" doc:"GPUs asked for, -1 = not reported"`
	ReqWalltime int64    `col:"requested_walltime_seconds" unit:"s" doc:"time asked for, -1 = not reported"`
	SubmittedAt int64    `col:"submitted_at" unit:"ms" doc:"when it was queued, 0 = not reported"`
	State       string   `col:"state" doc:"completed, failed or cancelled; on an end"`
}

// A Resource says what is paid for at one node from one instant on.
type Resource struct {
	Node            string   `col:"node" doc:"node"`
	Resource        string   `col:"resource" doc:"id of the instance or server"`
	Cluster         string   `col:"cluster" doc:"cluster"`
	Provider        string   `col:"provider" doc:"cloud or owner"`
	Region          string   `col:"region" doc:"region"`
	SKU             string   `col:"sku" doc:"instance type"`
	Model           string   `col:"gpu_model" doc:"product name of its GPUs"`
	GPUs            []string `col:"gpus" doc:"GPU ids, sorted by byte order, each once"`
	From            int64    `col:"from" unit:"ms" doc:"first instant"`
	To              int64    `col:"to" unit:"ms" doc:"first instant after it, 0 = open"`
	PricingCategory string   `col:"pricing_category" doc:"on_demand, spot, committed or owned"`
	Scheduler       bool     `col:"scheduler" doc:"its allocations come from a scheduler: time nobody holds is unallocated"`
	IdleWatts       uint32   `col:"idle_watts" unit:"mW" doc:"power above this is activity, 4294967295 = not given"`
}

// A Price is the price of a whole resource-hour.
type Price struct {
	Provider        string `col:"provider" doc:"cloud or owner"`
	Region          string `col:"region" doc:"region"`
	SKU             string `col:"sku" doc:"instance type"`
	PricingCategory string `col:"pricing_category" doc:"on_demand, spot, committed or owned"`
	Currency        string `col:"currency" doc:"ISO 4217"`
	PerHour         int64  `col:"price_per_hour" unit:"nano" doc:"price of a whole resource-hour in nano-units of the currency"`
	From            int64  `col:"effective_from" unit:"ms" doc:"first instant"`
	To              int64  `col:"effective_to" unit:"ms" doc:"first instant after it, 0 = open"`
	KnownAt         int64  `col:"known_at" unit:"ms" doc:"when it became known, 0 = effective_from"`
}

// A Tag is one attribution rule: all of Match must hold, then Set applies.
type Tag struct {
	Match    string `col:"match" doc:"key=glob;key=glob, as written"`
	Set      string `col:"set" doc:"key=value;key=value, as written"`
	From     int64  `col:"effective_from" unit:"ms" doc:"first instant"`
	To       int64  `col:"effective_to" unit:"ms" doc:"first instant after it, 0 = open"`
	Priority int64  `col:"priority" doc:"higher wins"`
}

// A Tick moves time: the ledger's horizon is the greatest of its ticks.
type Tick struct {
	Horizon int64 `col:"horizon" unit:"ms" doc:"horizon in event time; 0 = the broker's append time of this record"`
	Final   bool  `col:"final" doc:"the end of a replay: every window before the horizon is final"`
}

// A Quarantined is a record that one consumer group passes over from now on:
// whoever began to read it died. It stands in a topic of its own, which each
// reader reads whole before it begins, so that members of the group, and their
// successors, agree on what was read.
type Quarantined struct {
	Group     string `col:"group" doc:"consumer group that passes the record over"`
	Topic     string `col:"topic" doc:"topic of the record"`
	TopicID   string `col:"topic_id" doc:"id that the brokers gave the topic: a recreated one has other records at the same offsets"`
	Partition int32  `col:"partition" doc:"partition of the record"`
	Offset    int64  `col:"offset" doc:"offset of the record"`
}

// A DeadLetter is a record that was refused or is reported, with what to do.
type DeadLetter struct {
	Stream  string `col:"stream" doc:"stream it came in on"`
	Place   string `col:"place" doc:"file and line, or topic, partition and offset"`
	Reason  string `col:"reason" doc:"one of the reasons in docs/schemas.md"`
	Detail  string `col:"detail" doc:"what is wrong and how to mend it"`
	Payload []byte `col:"payload" doc:"the offending bytes, cut at 64 KiB"`
	Count   int64  `col:"count" doc:"how many records this letter stands for"`
}
