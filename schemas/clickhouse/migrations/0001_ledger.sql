-- Generated from the declarations in schemas/*.go by go generate; do not edit.

CREATE DATABASE IF NOT EXISTS gpumeter;

CREATE TABLE IF NOT EXISTS gpumeter.cells
(
    `node` LowCardinality(String) COMMENT 'node',
    `resource` LowCardinality(String) COMMENT 'instance or server paid for',
    `gpu` LowCardinality(String) COMMENT 'GPU id',
    `window` DateTime64(3, 'UTC') COMMENT 'start of the cell\'s window [ms]',
    `finality` Enum8('early' = 0, 'final' = 1, 'billed' = 2) COMMENT '0 early, 1 final, 2 billed',
    `restated` UInt8 COMMENT '1: a final revision of this cell was published before',
    `version` UInt64 COMMENT 'generation of the cost topic x 2^48 + offset: rises with every revision of a cell, the same on redelivery',
    `known_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended this revision',
    `rows.cluster` Array(LowCardinality(String)) COMMENT 'per row: cluster of the resource',
    `rows.provider` Array(LowCardinality(String)) COMMENT 'per row: cloud or owner',
    `rows.region` Array(LowCardinality(String)) COMMENT 'per row: region',
    `rows.sku` Array(LowCardinality(String)) COMMENT 'per row: instance type',
    `rows.gpu_model` Array(LowCardinality(String)) COMMENT 'per row: product name, from the resource',
    `rows.window_start` Array(DateTime64(3, 'UTC')) COMMENT 'per row: start of the span [ms]',
    `rows.window_end` Array(DateTime64(3, 'UTC')) COMMENT 'per row: end of the span [ms]',
    `rows.slice` Array(LowCardinality(String)) COMMENT 'per row: MIG instance, empty for the whole device',
    `rows.allocation` Array(LowCardinality(String)) COMMENT 'per row: allocation that holds it, empty for none',
    `rows.user` Array(LowCardinality(String)) COMMENT 'per row: user of the allocation',
    `rows.name` Array(LowCardinality(String)) COMMENT 'per row: name of the allocation',
    `rows.namespace` Array(LowCardinality(String)) COMMENT 'per row: namespace of the allocation',
    `rows.team` Array(LowCardinality(String)) COMMENT 'per row: attributed team',
    `rows.project` Array(LowCardinality(String)) COMMENT 'per row: attributed project',
    `rows.cost_center` Array(LowCardinality(String)) COMMENT 'per row: attributed cost center',
    `rows.environment` Array(LowCardinality(String)) COMMENT 'per row: attributed environment',
    `rows.model` Array(LowCardinality(String)) COMMENT 'per row: attributed model',
    `rows.model_version` Array(LowCardinality(String)) COMMENT 'per row: attributed model version',
    `rows.phase` Array(LowCardinality(String)) COMMENT 'per row: attributed phase',
    `rows.labels` Array(LowCardinality(String)) COMMENT 'per row: labels of the allocation as a JSON object, keys sorted; empty for none',
    `rows.state` Array(Enum8('active' = 1, 'idle_held' = 2, 'idle' = 3, 'unallocated' = 4, 'unavailable' = 5, 'unknown' = 6)) COMMENT 'per row: 1 active, 2 idle_held, 3 idle, 4 unallocated, 5 unavailable, 6 unknown; 0 marks an empty cell',
    `rows.attribution` Array(Enum8('none' = 0, 'exclusive' = 1, 'given' = 2, 'equal' = 3, 'slice' = 4)) COMMENT 'per row: 0 none, 1 exclusive, 2 given, 3 equal, 4 slice',
    `rows.gpu_ms` Array(Int64) COMMENT 'per row: GPU-milliseconds, rule 8\'s G over position x runs [ms]',
    `rows.used_gpu_ms` Array(Int64) COMMENT 'per row: floor(gpu_ms x load) [ms]',
    `rows.utilization_avg` Array(UInt32) COMMENT 'per row: time-weighted mean of utilization where reported [ppm]',
    `rows.sm_active_avg` Array(UInt32) COMMENT 'per row: time-weighted mean of sm_active where reported [ppm]',
    `rows.memory_used_max_bytes` Array(UInt64) COMMENT 'per row: greatest memory in use of the samples that speak for the row [By]',
    `rows.energy_joules` Array(UInt64) COMMENT 'per row: energy of the row by the counter [mJ]',
    `rows.currency` Array(LowCardinality(String)) COMMENT 'per row: currency of the price, empty when unpriced',
    `rows.list_cost` Array(Decimal(18, 9)) COMMENT 'per row: rule 8\'s R over position x runs [nano]',
    `rows.effective_cost` Array(Decimal(18, 9)) COMMENT 'per row: by bill where billed, else list_cost [nano]',
    `rows.used_cost` Array(Decimal(18, 9)) COMMENT 'per row: floor(effective_cost x load) [nano]',
    `rows.waste_cost` Array(Decimal(18, 9)) COMMENT 'per row: effective_cost of idle and idle_held, else 0 [nano]',
    `rows.price_id` Array(LowCardinality(String)) COMMENT 'per row: the price row in force, empty when unpriced',
    `rows.price_status` Array(Enum8('unpriced' = 0, 'priced' = 1)) COMMENT 'per row: 0 unpriced (costs are NULL), 1 priced',
    `rows.position_from` Array(UInt32) COMMENT 'per row: x0 of rule 8 on the resource [ppm of a GPU]',
    `rows.position_to` Array(UInt32) COMMENT 'per row: x1 of rule 8 on the resource [ppm of a GPU]',
    `rows.runs` Array(Array(UInt32)) COMMENT 'per row: pairs from, to in milliseconds since window [ms]'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toMonday(`window`)
ORDER BY (toStartOfHour(`window`), resource, node, gpu, `window`)
SETTINGS min_bytes_for_wide_part = 268435456
COMMENT 'Newest revision of every cell: all rows of one resource, GPU of a node, and window. Query the view cost.';

CREATE TABLE IF NOT EXISTS gpumeter.cells_history
(
    `node` LowCardinality(String) COMMENT 'node',
    `resource` LowCardinality(String) COMMENT 'instance or server paid for',
    `gpu` LowCardinality(String) COMMENT 'GPU id',
    `window` DateTime64(3, 'UTC') COMMENT 'start of the cell\'s window [ms]',
    `finality` Enum8('early' = 0, 'final' = 1, 'billed' = 2) COMMENT '0 early, 1 final, 2 billed',
    `restated` UInt8 COMMENT '1: a final revision of this cell was published before',
    `version` UInt64 COMMENT 'generation of the cost topic x 2^48 + offset: rises with every revision of a cell, the same on redelivery',
    `known_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended this revision',
    `rows.cluster` Array(LowCardinality(String)) COMMENT 'per row: cluster of the resource',
    `rows.provider` Array(LowCardinality(String)) COMMENT 'per row: cloud or owner',
    `rows.region` Array(LowCardinality(String)) COMMENT 'per row: region',
    `rows.sku` Array(LowCardinality(String)) COMMENT 'per row: instance type',
    `rows.gpu_model` Array(LowCardinality(String)) COMMENT 'per row: product name, from the resource',
    `rows.window_start` Array(DateTime64(3, 'UTC')) COMMENT 'per row: start of the span [ms]',
    `rows.window_end` Array(DateTime64(3, 'UTC')) COMMENT 'per row: end of the span [ms]',
    `rows.slice` Array(LowCardinality(String)) COMMENT 'per row: MIG instance, empty for the whole device',
    `rows.allocation` Array(LowCardinality(String)) COMMENT 'per row: allocation that holds it, empty for none',
    `rows.user` Array(LowCardinality(String)) COMMENT 'per row: user of the allocation',
    `rows.name` Array(LowCardinality(String)) COMMENT 'per row: name of the allocation',
    `rows.namespace` Array(LowCardinality(String)) COMMENT 'per row: namespace of the allocation',
    `rows.team` Array(LowCardinality(String)) COMMENT 'per row: attributed team',
    `rows.project` Array(LowCardinality(String)) COMMENT 'per row: attributed project',
    `rows.cost_center` Array(LowCardinality(String)) COMMENT 'per row: attributed cost center',
    `rows.environment` Array(LowCardinality(String)) COMMENT 'per row: attributed environment',
    `rows.model` Array(LowCardinality(String)) COMMENT 'per row: attributed model',
    `rows.model_version` Array(LowCardinality(String)) COMMENT 'per row: attributed model version',
    `rows.phase` Array(LowCardinality(String)) COMMENT 'per row: attributed phase',
    `rows.labels` Array(LowCardinality(String)) COMMENT 'per row: labels of the allocation as a JSON object, keys sorted; empty for none',
    `rows.state` Array(Enum8('active' = 1, 'idle_held' = 2, 'idle' = 3, 'unallocated' = 4, 'unavailable' = 5, 'unknown' = 6)) COMMENT 'per row: 1 active, 2 idle_held, 3 idle, 4 unallocated, 5 unavailable, 6 unknown; 0 marks an empty cell',
    `rows.attribution` Array(Enum8('none' = 0, 'exclusive' = 1, 'given' = 2, 'equal' = 3, 'slice' = 4)) COMMENT 'per row: 0 none, 1 exclusive, 2 given, 3 equal, 4 slice',
    `rows.gpu_ms` Array(Int64) COMMENT 'per row: GPU-milliseconds, rule 8\'s G over position x runs [ms]',
    `rows.used_gpu_ms` Array(Int64) COMMENT 'per row: floor(gpu_ms x load) [ms]',
    `rows.utilization_avg` Array(UInt32) COMMENT 'per row: time-weighted mean of utilization where reported [ppm]',
    `rows.sm_active_avg` Array(UInt32) COMMENT 'per row: time-weighted mean of sm_active where reported [ppm]',
    `rows.memory_used_max_bytes` Array(UInt64) COMMENT 'per row: greatest memory in use of the samples that speak for the row [By]',
    `rows.energy_joules` Array(UInt64) COMMENT 'per row: energy of the row by the counter [mJ]',
    `rows.currency` Array(LowCardinality(String)) COMMENT 'per row: currency of the price, empty when unpriced',
    `rows.list_cost` Array(Decimal(18, 9)) COMMENT 'per row: rule 8\'s R over position x runs [nano]',
    `rows.effective_cost` Array(Decimal(18, 9)) COMMENT 'per row: by bill where billed, else list_cost [nano]',
    `rows.used_cost` Array(Decimal(18, 9)) COMMENT 'per row: floor(effective_cost x load) [nano]',
    `rows.waste_cost` Array(Decimal(18, 9)) COMMENT 'per row: effective_cost of idle and idle_held, else 0 [nano]',
    `rows.price_id` Array(LowCardinality(String)) COMMENT 'per row: the price row in force, empty when unpriced',
    `rows.price_status` Array(Enum8('unpriced' = 0, 'priced' = 1)) COMMENT 'per row: 0 unpriced (costs are NULL), 1 priced',
    `rows.position_from` Array(UInt32) COMMENT 'per row: x0 of rule 8 on the resource [ppm of a GPU]',
    `rows.position_to` Array(UInt32) COMMENT 'per row: x1 of rule 8 on the resource [ppm of a GPU]',
    `rows.runs` Array(Array(UInt32)) COMMENT 'per row: pairs from, to in milliseconds since window [ms]'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toMonday(`window`)
ORDER BY (toStartOfHour(`window`), resource, node, gpu, `window`, version)
SETTINGS min_bytes_for_wide_part = 268435456
COMMENT 'Every revision of a cell that was not early. Query the view cost_history.';

CREATE TABLE IF NOT EXISTS gpumeter.samples_log
(
    `node` LowCardinality(String) COMMENT 'node',
    `gpu` LowCardinality(String) COMMENT 'GPU UUID or other id, unique on its node',
    `slice` LowCardinality(String) COMMENT 'MIG instance of the GPU, empty for the whole device',
    `gpu_model` LowCardinality(String) COMMENT 'product name of the GPU',
    `interval` UInt32 COMMENT 'cadence of the source; 0 = not reported (10 s is assumed) [ms]',
    `memory_total_bytes` UInt64 COMMENT 'memory of the GPU or slice [By]',
    `ts` DateTime64(3, 'UTC') COMMENT 'event time, Unix milliseconds UTC [ms]',
    `utilization` UInt32 COMMENT 'share of time in which a kernel ran [ppm]',
    `sm_active` UInt32 COMMENT 'mean share of busy multiprocessors [ppm]',
    `tensor_active` UInt32 COMMENT 'share of cycles in which the tensor pipes were busy [ppm]',
    `dram_active` UInt32 COMMENT 'share of cycles in which device memory was busy [ppm]',
    `memory_used_bytes` UInt64 COMMENT 'device memory in use [By]',
    `power` UInt32 COMMENT 'power drawn [mW]',
    `energy_joules` UInt64 COMMENT 'energy counter since driver load, whole joules [J]',
    `temperature_celsius` Int16 COMMENT 'GPU core temperature, whole degrees [Cel]',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record'
)
ENGINE = ReplacingMergeTree(appended_at)
PARTITION BY toDate(appended_at)
ORDER BY (node, gpu, slice, ts)
TTL toDateTime(appended_at) + INTERVAL 45 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456
COMMENT 'Readings of GPUs and MIG slices. Query the view samples.';

CREATE TABLE IF NOT EXISTS gpumeter.processes_log
(
    `ts` DateTime64(3, 'UTC') COMMENT 'event time, Unix milliseconds UTC [ms]',
    `node` String COMMENT 'node the GPU is in',
    `gpu` String COMMENT 'GPU id',
    `slice` String COMMENT 'MIG instance, empty for the whole device',
    `pid` Int64 COMMENT 'process id on the node',
    `allocation` String COMMENT 'allocation that owns the process, empty when unknown',
    `sm_utilization` UInt32 COMMENT 'share of multiprocessor time of this process [ppm]',
    `memory_used_bytes` UInt64 COMMENT 'device memory of this process [By]',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record'
)
ENGINE = ReplacingMergeTree(appended_at)
PARTITION BY toDate(appended_at)
ORDER BY (node, gpu, slice, pid, ts)
TTL toDateTime(appended_at) + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456
COMMENT 'Readings of processes on GPUs. Query the view processes.';

CREATE TABLE IF NOT EXISTS gpumeter.allocations_log
(
    `ts` DateTime64(3, 'UTC') COMMENT 'event time, Unix milliseconds UTC [ms]',
    `event` String COMMENT 'start, update or end',
    `allocation` String COMMENT 'id of the allocation, unique over all time',
    `has_gpus` Bool COMMENT 'the event names gpus (an empty list is not the same as none)',
    `gpus` Array(Tuple(node String, gpu String, slice String, share Int32)) COMMENT 'what it holds from ts on, sorted by node, gpu, slice, share',
    `user` String COMMENT 'who asked for it',
    `name` String COMMENT 'job or pod name',
    `namespace` String COMMENT 'Kubernetes namespace or scheduler partition',
    `image` String COMMENT 'container image or code version',
    `command` Array(String) COMMENT 'arguments',
    `has_labels` Bool COMMENT 'the event names labels',
    `labels` Map(String, String) COMMENT 'labels from ts on, sorted by key',
    `requested_gpus` Int64 COMMENT 'GPUs asked for, -1 = not reported',
    `requested_walltime_seconds` Int64 COMMENT 'time asked for, -1 = not reported [s]',
    `submitted_at` DateTime64(3, 'UTC') COMMENT 'when it was queued, 0 = not reported [ms]',
    `state` String COMMENT 'completed, failed or cancelled; on an end',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record',
    `digest` UInt64 MATERIALIZED cityHash64(`ts`, `event`, `allocation`, `has_gpus`, `gpus`, `user`, `name`, `namespace`, `image`, `command`, `has_labels`, `labels`, `requested_gpus`, `requested_walltime_seconds`, `submitted_at`, `state`) COMMENT 'tells different records of one key apart'
)
ENGINE = ReplacingMergeTree(appended_at)
ORDER BY (`allocation`, `ts`, `event`, `digest`)
COMMENT 'Starts, updates and ends of holds on GPUs. Query the view allocations.';

CREATE TABLE IF NOT EXISTS gpumeter.resources_log
(
    `node` String COMMENT 'node',
    `resource` String COMMENT 'id of the instance or server',
    `cluster` String COMMENT 'cluster',
    `provider` String COMMENT 'cloud or owner',
    `region` String COMMENT 'region',
    `sku` String COMMENT 'instance type',
    `gpu_model` String COMMENT 'product name of its GPUs',
    `gpus` Array(String) COMMENT 'GPU ids, sorted by byte order, each once',
    `from` DateTime64(3, 'UTC') COMMENT 'first instant [ms]',
    `to` DateTime64(3, 'UTC') COMMENT 'first instant after it, 0 = open [ms]',
    `pricing_category` String COMMENT 'on_demand, spot, committed or owned',
    `scheduler` Bool COMMENT 'its allocations come from a scheduler: time nobody holds is unallocated',
    `idle_watts` UInt32 COMMENT 'power above this is activity, 4294967295 = not given [mW]',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record',
    `digest` UInt64 MATERIALIZED cityHash64(`node`, `resource`, `cluster`, `provider`, `region`, `sku`, `gpu_model`, `gpus`, `from`, `to`, `pricing_category`, `scheduler`, `idle_watts`) COMMENT 'tells different records of one key apart'
)
ENGINE = ReplacingMergeTree(appended_at)
ORDER BY (`resource`, `from`, `digest`)
COMMENT 'Instances and servers that are paid for. Query the view resources.';

CREATE TABLE IF NOT EXISTS gpumeter.prices_log
(
    `provider` String COMMENT 'cloud or owner',
    `region` String COMMENT 'region',
    `sku` String COMMENT 'instance type',
    `pricing_category` String COMMENT 'on_demand, spot, committed or owned',
    `currency` String COMMENT 'ISO 4217',
    `price_per_hour` Decimal(18, 9) COMMENT 'price of a whole resource-hour in nano-units of the currency [nano]',
    `effective_from` DateTime64(3, 'UTC') COMMENT 'first instant [ms]',
    `effective_to` DateTime64(3, 'UTC') COMMENT 'first instant after it, 0 = open [ms]',
    `known_at` DateTime64(3, 'UTC') COMMENT 'when it became known, 0 = effective_from [ms]',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record',
    `digest` UInt64 MATERIALIZED cityHash64(`provider`, `region`, `sku`, `pricing_category`, `currency`, `price_per_hour`, `effective_from`, `effective_to`, `known_at`) COMMENT 'tells different records of one key apart'
)
ENGINE = ReplacingMergeTree(appended_at)
ORDER BY (`provider`, `region`, `sku`, `pricing_category`, `effective_from`, `digest`)
COMMENT 'Prices of a whole resource-hour. Query the view prices.';

CREATE TABLE IF NOT EXISTS gpumeter.tags_log
(
    `match` String COMMENT 'key=glob;key=glob, as written',
    `set` String COMMENT 'key=value;key=value, as written',
    `effective_from` DateTime64(3, 'UTC') COMMENT 'first instant [ms]',
    `effective_to` DateTime64(3, 'UTC') COMMENT 'first instant after it, 0 = open [ms]',
    `priority` Int64 COMMENT 'higher wins',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record',
    `digest` UInt64 MATERIALIZED cityHash64(`match`, `set`, `effective_from`, `effective_to`, `priority`) COMMENT 'tells different records of one key apart'
)
ENGINE = ReplacingMergeTree(appended_at)
ORDER BY (`effective_from`, `digest`)
COMMENT 'Attribution rules. Query the view tags.';

CREATE TABLE IF NOT EXISTS gpumeter.findings_log
(
    `finding` String COMMENT 'id: kind/allocation/opened_at, the same in all revisions',
    `revision` Int64 COMMENT '1, 2, 3, ...',
    `kind` String COMMENT 'idle',
    `status` String COMMENT 'open or resolved',
    `severity` String COMMENT 'notice or alert; never falls',
    `opened_at` DateTime64(3, 'UTC') COMMENT 'event time at which it was a notice [ms]',
    `threshold_at` DateTime64(3, 'UTC') COMMENT 'event time at which it became an alert, 0 = not yet [ms]',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'event time up to which this revision counts [ms]',
    `resolved_at` DateTime64(3, 'UTC') COMMENT 'event time at which it was over, 0 = open [ms]',
    `allocation` String COMMENT 'allocation it is about',
    `node` String COMMENT 'node of its GPUs, the first of several in byte order',
    `gpus` Array(String) COMMENT 'its GPUs as gpu or gpu/slice, sorted by node, gpu, slice',
    `user` String COMMENT 'user of the allocation',
    `name` String COMMENT 'name of the allocation',
    `team` String COMMENT 'attributed team',
    `burnt_cost` Decimal(18, 9) COMMENT 'list cost of its idle time since the idleness began [nano]',
    `cost_per_hour` Decimal(18, 9) COMMENT 'list cost of an hour of all its GPUs [nano]',
    `currency` String COMMENT 'currency of the costs, empty when unpriced',
    `evidence` Map(String, String) COMMENT 'measurements behind it, sorted by key',
    `advice` String COMMENT 'what to do',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record',
    `digest` UInt64 MATERIALIZED cityHash64(`finding`, `revision`, `kind`, `status`, `severity`, `opened_at`, `threshold_at`, `updated_at`, `resolved_at`, `allocation`, `node`, `gpus`, `user`, `name`, `team`, `burnt_cost`, `cost_per_hour`, `currency`, `evidence`, `advice`) COMMENT 'tells different records of one key apart'
)
ENGINE = ReplacingMergeTree(appended_at)
ORDER BY (`finding`, `revision`, `digest`)
COMMENT 'What is worth a person\'s attention, with money: every revision. Query the view findings.';

CREATE TABLE IF NOT EXISTS gpumeter.dead_letters_log
(
    `stream` String COMMENT 'stream it came in on',
    `place` String COMMENT 'file and line, or topic, partition and offset',
    `reason` String COMMENT 'one of the reasons in docs/schemas.md',
    `detail` String COMMENT 'what is wrong and how to mend it',
    `payload` String COMMENT 'the offending bytes, cut at 64 KiB',
    `count` Int64 COMMENT 'how many records this letter stands for',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record',
    `digest` UInt64 MATERIALIZED cityHash64(`stream`, `place`, `reason`, `detail`, `payload`, `count`) COMMENT 'tells different records of one key apart'
)
ENGINE = ReplacingMergeTree(appended_at)
ORDER BY (`stream`, `reason`, `place`, `digest`)
COMMENT 'What was refused or is reported, with place and reason. Query the view dead_letters.';

CREATE TABLE IF NOT EXISTS gpumeter.dead_letter_marks
(
    `digest` UInt64 COMMENT 'digest of the letter',
    `state` LowCardinality(String) COMMENT 'retried or dropped',
    `note` String COMMENT 'why it was dropped, or where it was published again',
    `marked_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when'
)
ENGINE = ReplacingMergeTree
ORDER BY (digest, marked_at)
COMMENT 'What was done about dead letters. The newest mark of a letter counts.';

CREATE TABLE IF NOT EXISTS gpumeter.generations
(
    `topic_id` String COMMENT 'id that the brokers gave the topic when it was created',
    `generation` UInt32 COMMENT 'high bits of the version of its cells',
    `seen_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when a sink met it first'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic_id)
COMMENT 'Incarnations of the cost topic, in the order in which sinks met them.';

CREATE TABLE IF NOT EXISTS gpumeter.migrations
(
    `version` UInt32 COMMENT 'number of the migration',
    `name` String COMMENT 'its file',
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when it had run to its end'
)
ENGINE = ReplacingMergeTree
ORDER BY (version)
COMMENT 'Migrations that were applied.';

CREATE MATERIALIZED VIEW IF NOT EXISTS gpumeter.cells_history_feed TO gpumeter.cells_history AS
SELECT *
FROM gpumeter.cells
WHERE finality != 'early';

CREATE VIEW IF NOT EXISTS gpumeter.cost
(
    `cluster` LowCardinality(String) COMMENT 'cluster of the resource',
    `window_start` DateTime64(3, 'UTC') COMMENT 'start of the span [ms]',
    `window_end` DateTime64(3, 'UTC') COMMENT 'end of the span [ms]',
    `node` LowCardinality(String) COMMENT 'node',
    `resource` LowCardinality(String) COMMENT 'instance or server paid for',
    `provider` LowCardinality(String) COMMENT 'cloud or owner',
    `region` LowCardinality(String) COMMENT 'region',
    `sku` LowCardinality(String) COMMENT 'instance type',
    `gpu` LowCardinality(String) COMMENT 'GPU id',
    `slice` LowCardinality(String) COMMENT 'MIG instance, empty for the whole device',
    `gpu_model` LowCardinality(String) COMMENT 'product name, from the resource',
    `allocation` LowCardinality(String) COMMENT 'allocation that holds it, empty for none',
    `user` LowCardinality(String) COMMENT 'user of the allocation',
    `name` LowCardinality(String) COMMENT 'name of the allocation',
    `namespace` LowCardinality(String) COMMENT 'namespace of the allocation',
    `team` LowCardinality(String) COMMENT 'attributed team',
    `project` LowCardinality(String) COMMENT 'attributed project',
    `cost_center` LowCardinality(String) COMMENT 'attributed cost center',
    `environment` LowCardinality(String) COMMENT 'attributed environment',
    `model` LowCardinality(String) COMMENT 'attributed model',
    `model_version` LowCardinality(String) COMMENT 'attributed model version',
    `phase` LowCardinality(String) COMMENT 'attributed phase',
    `labels` Map(String, String) COMMENT 'labels of the allocation',
    `state` Enum8('active' = 1, 'idle_held' = 2, 'idle' = 3, 'unallocated' = 4, 'unavailable' = 5, 'unknown' = 6) COMMENT 'what the GPU did for this holder',
    `attribution` Enum8('none' = 0, 'exclusive' = 1, 'given' = 2, 'equal' = 3, 'slice' = 4) COMMENT 'how the row got its part of the device',
    `gpu_ms` Int64 COMMENT 'GPU-milliseconds, rule 8\'s G over position x runs [ms]',
    `used_gpu_ms` Int64 COMMENT 'floor(gpu_ms x load) [ms]',
    `utilization_avg` Nullable(Float64) COMMENT 'time-weighted mean of utilization where reported [fraction 0 to 1]',
    `sm_active_avg` Nullable(Float64) COMMENT 'time-weighted mean of sm_active where reported [fraction 0 to 1]',
    `memory_used_max_bytes` Nullable(UInt64) COMMENT 'greatest memory in use of the samples that speak for the row [By]',
    `energy_joules` Nullable(Float64) COMMENT 'energy of the row by the counter [J]',
    `currency` LowCardinality(String) COMMENT 'currency of the price, empty when unpriced',
    `list_cost` Nullable(Decimal(18, 9)) COMMENT 'rule 8\'s R over position x runs [currency]; NULL when unpriced',
    `effective_cost` Nullable(Decimal(18, 9)) COMMENT 'by bill where billed, else list_cost [currency]; NULL when unpriced',
    `used_cost` Nullable(Decimal(18, 9)) COMMENT 'floor(effective_cost x load) [currency]; NULL when unpriced',
    `waste_cost` Nullable(Decimal(18, 9)) COMMENT 'effective_cost of idle and idle_held, else 0 [currency]; NULL when unpriced',
    `price_id` LowCardinality(String) COMMENT 'the price row in force, empty when unpriced',
    `price_status` Enum8('unpriced' = 0, 'priced' = 1) COMMENT 'whether a price is known',
    `finality` Enum8('early' = 0, 'final' = 1, 'billed' = 2) COMMENT 'early',
    `revision` UInt64 COMMENT 'version of the cell that says this; a greater one is newer',
    `first_reported_at` DateTime64(3, 'UTC') COMMENT 'when the first final revision of this cell became known',
    `known_at` DateTime64(3, 'UTC') COMMENT 'when this revision became known: the broker\'s append time',
    `position_from` UInt32 COMMENT 'x0 of rule 8 on the resource [ppm of a GPU]',
    `position_to` UInt32 COMMENT 'x1 of rule 8 on the resource [ppm of a GPU]',
    `runs` Array(UInt32) COMMENT 'pairs from, to in milliseconds since window [ms]',
    `window` DateTime64(3, 'UTC') COMMENT 'start of the cell\'s window [ms]'
)
AS
SELECT
    c.`rows.cluster`[i] AS `cluster`,
    c.`rows.window_start`[i] AS `window_start`,
    c.`rows.window_end`[i] AS `window_end`,
    c.`node` AS `node`,
    c.`resource` AS `resource`,
    c.`rows.provider`[i] AS `provider`,
    c.`rows.region`[i] AS `region`,
    c.`rows.sku`[i] AS `sku`,
    c.`gpu` AS `gpu`,
    c.`rows.slice`[i] AS `slice`,
    c.`rows.gpu_model`[i] AS `gpu_model`,
    c.`rows.allocation`[i] AS `allocation`,
    c.`rows.user`[i] AS `user`,
    c.`rows.name`[i] AS `name`,
    c.`rows.namespace`[i] AS `namespace`,
    c.`rows.team`[i] AS `team`,
    c.`rows.project`[i] AS `project`,
    c.`rows.cost_center`[i] AS `cost_center`,
    c.`rows.environment`[i] AS `environment`,
    c.`rows.model`[i] AS `model`,
    c.`rows.model_version`[i] AS `model_version`,
    c.`rows.phase`[i] AS `phase`,
    JSONExtract(c.`rows.labels`[i], 'Map(String, String)') AS `labels`,
    c.`rows.state`[i] AS `state`,
    c.`rows.attribution`[i] AS `attribution`,
    c.`rows.gpu_ms`[i] AS `gpu_ms`,
    c.`rows.used_gpu_ms`[i] AS `used_gpu_ms`,
    if(c.`rows.utilization_avg`[i] = 4294967295, NULL, c.`rows.utilization_avg`[i] / 1000000) AS `utilization_avg`,
    if(c.`rows.sm_active_avg`[i] = 4294967295, NULL, c.`rows.sm_active_avg`[i] / 1000000) AS `sm_active_avg`,
    nullIf(c.`rows.memory_used_max_bytes`[i], 18446744073709551615) AS `memory_used_max_bytes`,
    if(c.`rows.energy_joules`[i] = 18446744073709551615, NULL, c.`rows.energy_joules`[i] / 1000) AS `energy_joules`,
    c.`rows.currency`[i] AS `currency`,
    if(c.`rows.price_status`[i] = 'priced', c.`rows.list_cost`[i], NULL) AS `list_cost`,
    if(c.`rows.price_status`[i] = 'priced', c.`rows.effective_cost`[i], NULL) AS `effective_cost`,
    if(c.`rows.price_status`[i] = 'priced', c.`rows.used_cost`[i], NULL) AS `used_cost`,
    if(c.`rows.price_status`[i] = 'priced', c.`rows.waste_cost`[i], NULL) AS `waste_cost`,
    c.`rows.price_id`[i] AS `price_id`,
    c.`rows.price_status`[i] AS `price_status`,
    c.`finality` AS `finality`,
    c.version AS `revision`,
    if(c.restated = 1 AND first.known_at > toDateTime64(0, 3, 'UTC'), first.known_at, c.known_at) AS `first_reported_at`,
    c.`known_at` AS `known_at`,
    c.`rows.position_from`[i] AS `position_from`,
    c.`rows.position_to`[i] AS `position_to`,
    c.`rows.runs`[i] AS `runs`,
    c.`window` AS `window`
FROM (SELECT *, if(restated = 1, cityHash64(resource, node, gpu, `window`), 0) AS key FROM gpumeter.cells FINAL) AS c
LEFT ANY JOIN
(
    SELECT cityHash64(resource, node, gpu, `window`) AS key, min(known_at) AS known_at
    FROM gpumeter.cells_history
    WHERE (toStartOfHour(`window`), resource) IN (SELECT toStartOfHour(`window`), resource FROM gpumeter.cells WHERE restated = 1)
    GROUP BY key
) AS first ON first.key = c.key
ARRAY JOIN arrayEnumerate(c.`rows.state`) AS i
COMMENT 'Cost facts, the newest revision of each. Filter on window to read less.';

CREATE VIEW IF NOT EXISTS gpumeter.cost_history
(
    `cluster` LowCardinality(String) COMMENT 'cluster of the resource',
    `window_start` DateTime64(3, 'UTC') COMMENT 'start of the span [ms]',
    `window_end` DateTime64(3, 'UTC') COMMENT 'end of the span [ms]',
    `node` LowCardinality(String) COMMENT 'node',
    `resource` LowCardinality(String) COMMENT 'instance or server paid for',
    `provider` LowCardinality(String) COMMENT 'cloud or owner',
    `region` LowCardinality(String) COMMENT 'region',
    `sku` LowCardinality(String) COMMENT 'instance type',
    `gpu` LowCardinality(String) COMMENT 'GPU id',
    `slice` LowCardinality(String) COMMENT 'MIG instance, empty for the whole device',
    `gpu_model` LowCardinality(String) COMMENT 'product name, from the resource',
    `allocation` LowCardinality(String) COMMENT 'allocation that holds it, empty for none',
    `user` LowCardinality(String) COMMENT 'user of the allocation',
    `name` LowCardinality(String) COMMENT 'name of the allocation',
    `namespace` LowCardinality(String) COMMENT 'namespace of the allocation',
    `team` LowCardinality(String) COMMENT 'attributed team',
    `project` LowCardinality(String) COMMENT 'attributed project',
    `cost_center` LowCardinality(String) COMMENT 'attributed cost center',
    `environment` LowCardinality(String) COMMENT 'attributed environment',
    `model` LowCardinality(String) COMMENT 'attributed model',
    `model_version` LowCardinality(String) COMMENT 'attributed model version',
    `phase` LowCardinality(String) COMMENT 'attributed phase',
    `labels` Map(String, String) COMMENT 'labels of the allocation',
    `state` Enum8('active' = 1, 'idle_held' = 2, 'idle' = 3, 'unallocated' = 4, 'unavailable' = 5, 'unknown' = 6) COMMENT 'what the GPU did for this holder',
    `attribution` Enum8('none' = 0, 'exclusive' = 1, 'given' = 2, 'equal' = 3, 'slice' = 4) COMMENT 'how the row got its part of the device',
    `gpu_ms` Int64 COMMENT 'GPU-milliseconds, rule 8\'s G over position x runs [ms]',
    `used_gpu_ms` Int64 COMMENT 'floor(gpu_ms x load) [ms]',
    `utilization_avg` Nullable(Float64) COMMENT 'time-weighted mean of utilization where reported [fraction 0 to 1]',
    `sm_active_avg` Nullable(Float64) COMMENT 'time-weighted mean of sm_active where reported [fraction 0 to 1]',
    `memory_used_max_bytes` Nullable(UInt64) COMMENT 'greatest memory in use of the samples that speak for the row [By]',
    `energy_joules` Nullable(Float64) COMMENT 'energy of the row by the counter [J]',
    `currency` LowCardinality(String) COMMENT 'currency of the price, empty when unpriced',
    `list_cost` Nullable(Decimal(18, 9)) COMMENT 'rule 8\'s R over position x runs [currency]; NULL when unpriced',
    `effective_cost` Nullable(Decimal(18, 9)) COMMENT 'by bill where billed, else list_cost [currency]; NULL when unpriced',
    `used_cost` Nullable(Decimal(18, 9)) COMMENT 'floor(effective_cost x load) [currency]; NULL when unpriced',
    `waste_cost` Nullable(Decimal(18, 9)) COMMENT 'effective_cost of idle and idle_held, else 0 [currency]; NULL when unpriced',
    `price_id` LowCardinality(String) COMMENT 'the price row in force, empty when unpriced',
    `price_status` Enum8('unpriced' = 0, 'priced' = 1) COMMENT 'whether a price is known',
    `finality` Enum8('early' = 0, 'final' = 1, 'billed' = 2) COMMENT 'early',
    `revision` UInt64 COMMENT 'version of the cell that says this; a greater one is newer',
    `first_reported_at` DateTime64(3, 'UTC') COMMENT 'when the first final revision of this cell became known',
    `known_at` DateTime64(3, 'UTC') COMMENT 'when this revision became known: the broker\'s append time',
    `retracted` UInt8 COMMENT '1: this revision no longer has the row of this key; its measures are zero',
    `position_from` UInt32 COMMENT 'x0 of rule 8 on the resource [ppm of a GPU]',
    `position_to` UInt32 COMMENT 'x1 of rule 8 on the resource [ppm of a GPU]',
    `runs` Array(UInt32) COMMENT 'pairs from, to in milliseconds since window [ms]',
    `window` DateTime64(3, 'UTC') COMMENT 'start of the cell\'s window [ms]'
)
AS
SELECT
    c.`rows.cluster`[i] AS `cluster`,
    c.`rows.window_start`[i] AS `window_start`,
    c.`rows.window_end`[i] AS `window_end`,
    c.`node` AS `node`,
    c.`resource` AS `resource`,
    c.`rows.provider`[i] AS `provider`,
    c.`rows.region`[i] AS `region`,
    c.`rows.sku`[i] AS `sku`,
    c.`gpu` AS `gpu`,
    c.`rows.slice`[i] AS `slice`,
    c.`rows.gpu_model`[i] AS `gpu_model`,
    c.`rows.allocation`[i] AS `allocation`,
    c.`rows.user`[i] AS `user`,
    c.`rows.name`[i] AS `name`,
    c.`rows.namespace`[i] AS `namespace`,
    c.`rows.team`[i] AS `team`,
    c.`rows.project`[i] AS `project`,
    c.`rows.cost_center`[i] AS `cost_center`,
    c.`rows.environment`[i] AS `environment`,
    c.`rows.model`[i] AS `model`,
    c.`rows.model_version`[i] AS `model_version`,
    c.`rows.phase`[i] AS `phase`,
    JSONExtract(c.`rows.labels`[i], 'Map(String, String)') AS `labels`,
    c.`rows.state`[i] AS `state`,
    c.`rows.attribution`[i] AS `attribution`,
    c.`rows.gpu_ms`[i] AS `gpu_ms`,
    c.`rows.used_gpu_ms`[i] AS `used_gpu_ms`,
    if(c.`rows.utilization_avg`[i] = 4294967295, NULL, c.`rows.utilization_avg`[i] / 1000000) AS `utilization_avg`,
    if(c.`rows.sm_active_avg`[i] = 4294967295, NULL, c.`rows.sm_active_avg`[i] / 1000000) AS `sm_active_avg`,
    nullIf(c.`rows.memory_used_max_bytes`[i], 18446744073709551615) AS `memory_used_max_bytes`,
    if(c.`rows.energy_joules`[i] = 18446744073709551615, NULL, c.`rows.energy_joules`[i] / 1000) AS `energy_joules`,
    c.`rows.currency`[i] AS `currency`,
    if(c.`rows.price_status`[i] = 'priced', c.`rows.list_cost`[i], NULL) AS `list_cost`,
    if(c.`rows.price_status`[i] = 'priced', c.`rows.effective_cost`[i], NULL) AS `effective_cost`,
    if(c.`rows.price_status`[i] = 'priced', c.`rows.used_cost`[i], NULL) AS `used_cost`,
    if(c.`rows.price_status`[i] = 'priced', c.`rows.waste_cost`[i], NULL) AS `waste_cost`,
    c.`rows.price_id`[i] AS `price_id`,
    c.`rows.price_status`[i] AS `price_status`,
    c.`finality` AS `finality`,
    c.version AS `revision`,
    if(c.restated = 1 AND first.known_at > toDateTime64(0, 3, 'UTC'), first.known_at, c.known_at) AS `first_reported_at`,
    c.`known_at` AS `known_at`,
    0 AS `retracted`,
    c.`rows.position_from`[i] AS `position_from`,
    c.`rows.position_to`[i] AS `position_to`,
    c.`rows.runs`[i] AS `runs`,
    c.`window` AS `window`
FROM (SELECT *, if(restated = 1, cityHash64(resource, node, gpu, `window`), 0) AS key FROM gpumeter.cells_history FINAL) AS c
LEFT ANY JOIN
(
    SELECT cityHash64(resource, node, gpu, `window`) AS key, min(known_at) AS known_at
    FROM gpumeter.cells_history
    WHERE (toStartOfHour(`window`), resource) IN (SELECT toStartOfHour(`window`), resource FROM gpumeter.cells_history WHERE restated = 1)
    GROUP BY key
) AS first ON first.key = c.key
ARRAY JOIN arrayEnumerate(c.`rows.state`) AS i
UNION ALL
SELECT
    c.`rows.cluster`[i] AS `cluster`,
    c.`rows.window_start`[i] AS `window_start`,
    c.`rows.window_end`[i] AS `window_end`,
    c.`node` AS `node`,
    c.`resource` AS `resource`,
    c.`rows.provider`[i] AS `provider`,
    c.`rows.region`[i] AS `region`,
    c.`rows.sku`[i] AS `sku`,
    c.`gpu` AS `gpu`,
    c.`rows.slice`[i] AS `slice`,
    c.`rows.gpu_model`[i] AS `gpu_model`,
    c.`rows.allocation`[i] AS `allocation`,
    c.`rows.user`[i] AS `user`,
    c.`rows.name`[i] AS `name`,
    c.`rows.namespace`[i] AS `namespace`,
    c.`rows.team`[i] AS `team`,
    c.`rows.project`[i] AS `project`,
    c.`rows.cost_center`[i] AS `cost_center`,
    c.`rows.environment`[i] AS `environment`,
    c.`rows.model`[i] AS `model`,
    c.`rows.model_version`[i] AS `model_version`,
    c.`rows.phase`[i] AS `phase`,
    JSONExtract(c.`rows.labels`[i], 'Map(String, String)') AS `labels`,
    c.`rows.state`[i] AS `state`,
    c.`rows.attribution`[i] AS `attribution`,
    CAST(0, 'Int64') AS `gpu_ms`,
    CAST(0, 'Int64') AS `used_gpu_ms`,
    if(c.`rows.utilization_avg`[i] = 4294967295, NULL, c.`rows.utilization_avg`[i] / 1000000) AS `utilization_avg`,
    if(c.`rows.sm_active_avg`[i] = 4294967295, NULL, c.`rows.sm_active_avg`[i] / 1000000) AS `sm_active_avg`,
    nullIf(c.`rows.memory_used_max_bytes`[i], 18446744073709551615) AS `memory_used_max_bytes`,
    if(c.`rows.energy_joules`[i] = 18446744073709551615, NULL, c.`rows.energy_joules`[i] / 1000) AS `energy_joules`,
    c.`rows.currency`[i] AS `currency`,
    CAST(0, 'Nullable(Decimal(18, 9))') AS `list_cost`,
    CAST(0, 'Nullable(Decimal(18, 9))') AS `effective_cost`,
    CAST(0, 'Nullable(Decimal(18, 9))') AS `used_cost`,
    CAST(0, 'Nullable(Decimal(18, 9))') AS `waste_cost`,
    c.`rows.price_id`[i] AS `price_id`,
    c.`rows.price_status`[i] AS `price_status`,
    c.next_finality AS `finality`,
    c.next_version AS `revision`,
    c.first_known_at AS `first_reported_at`,
    c.next_known_at AS `known_at`,
    1 AS `retracted`,
    c.`rows.position_from`[i] AS `position_from`,
    c.`rows.position_to`[i] AS `position_to`,
    c.`rows.runs`[i] AS `runs`,
    c.`window` AS `window`
FROM (
    SELECT *,
        leadInFrame(version) OVER revisions AS next_version,
        leadInFrame(known_at) OVER revisions AS next_known_at,
        leadInFrame(finality) OVER revisions AS next_finality,
        leadInFrame(arrayMap((a, b, s, h, t) -> cityHash64(a, b, s, h, t), `rows.window_start`, `rows.window_end`, `rows.slice`, `rows.allocation`, `rows.state`)) OVER revisions AS next_keys,
        min(known_at) OVER revisions AS first_known_at
    FROM gpumeter.cells_history FINAL
    WHERE (toStartOfHour(`window`), resource, node, gpu, `window`) IN
        (SELECT toStartOfHour(`window`), resource, node, gpu, `window` FROM gpumeter.cells_history WHERE restated = 1)
    WINDOW revisions AS (PARTITION BY resource, node, gpu, `window` ORDER BY version ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
) AS c
ARRAY JOIN arrayEnumerate(c.`rows.state`) AS i
WHERE c.next_version != 0 AND NOT has(c.next_keys, cityHash64(c.`rows.window_start`[i], c.`rows.window_end`[i], c.`rows.slice`[i], c.`rows.allocation`[i], c.`rows.state`[i]))
COMMENT 'Cost facts, every revision that was not early, with what a revision retracted.';

CREATE VIEW IF NOT EXISTS gpumeter.allocations
(
    `allocation` String COMMENT 'id of the allocation, unique over all time',
    `user` String COMMENT 'who asked for it',
    `name` String COMMENT 'job or pod name',
    `namespace` String COMMENT 'Kubernetes namespace or scheduler partition',
    `image` String COMMENT 'container image or code version',
    `command` Array(String) COMMENT 'arguments',
    `labels` Map(String, String) COMMENT 'labels from ts on, sorted by key',
    `requested_gpus` Nullable(Int64) COMMENT 'GPUs asked for',
    `requested_walltime_seconds` Nullable(Int64) COMMENT 'time asked for [s]',
    `submitted_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was queued',
    `start` Nullable(DateTime64(3, 'UTC')) COMMENT 'earliest start; NULL when only its end is known',
    `end` Nullable(DateTime64(3, 'UTC')) COMMENT 'latest end; NULL while it runs',
    `state` String COMMENT 'completed, failed or cancelled; running while it has no end',
    `gpu_ms_active` Int64 COMMENT 'GPU-milliseconds in state active',
    `gpu_ms_idle_held` Int64 COMMENT 'GPU-milliseconds in state idle_held',
    `gpu_ms_idle` Int64 COMMENT 'GPU-milliseconds in state idle',
    `gpu_ms_unallocated` Int64 COMMENT 'GPU-milliseconds in state unallocated',
    `gpu_ms_unavailable` Int64 COMMENT 'GPU-milliseconds in state unavailable',
    `gpu_ms_unknown` Int64 COMMENT 'GPU-milliseconds in state unknown',
    `used_gpu_ms` Int64 COMMENT 'GPU-milliseconds weighted by load',
    `unpriced_gpu_ms` Int64 COMMENT 'GPU-milliseconds without a price; no cost includes them',
    `currency` String COMMENT 'currency of the costs; empty when there is none, or several: then the costs are NULL and cost_by_currency has them',
    `list_cost` Nullable(Decimal(38, 9)) COMMENT 'sum of list_cost over its facts; NULL when none is priced',
    `effective_cost` Nullable(Decimal(38, 9)) COMMENT 'sum of effective_cost over its facts; NULL when none is priced',
    `used_cost` Nullable(Decimal(38, 9)) COMMENT 'sum of used_cost over its facts; NULL when none is priced',
    `waste_cost` Nullable(Decimal(38, 9)) COMMENT 'sum of waste_cost over its facts; NULL when none is priced',
    `cost_by_currency` Map(String, Tuple(list_cost Decimal(38, 9), effective_cost Decimal(38, 9), used_cost Decimal(38, 9), waste_cost Decimal(38, 9))) COMMENT 'sums of list_cost, effective_cost, used_cost and waste_cost by currency'
)
AS
SELECT
    e.`allocation` AS `allocation`,
    e.`user` AS `user`,
    e.`name` AS `name`,
    e.`namespace` AS `namespace`,
    e.`image` AS `image`,
    e.`command` AS `command`,
    e.`labels` AS `labels`,
    e.`requested_gpus` AS `requested_gpus`,
    e.`requested_walltime_seconds` AS `requested_walltime_seconds`,
    e.`submitted_at` AS `submitted_at`,
    e.`start` AS `start`,
    e.`end` AS `end`,
    e.`state` AS `state`,
    f.`gpu_ms_active` AS `gpu_ms_active`,
    f.`gpu_ms_idle_held` AS `gpu_ms_idle_held`,
    f.`gpu_ms_idle` AS `gpu_ms_idle`,
    f.`gpu_ms_unallocated` AS `gpu_ms_unallocated`,
    f.`gpu_ms_unavailable` AS `gpu_ms_unavailable`,
    f.`gpu_ms_unknown` AS `gpu_ms_unknown`,
    f.`used_gpu_ms` AS `used_gpu_ms`,
    f.`unpriced_gpu_ms` AS `unpriced_gpu_ms`,
    f.`currency` AS `currency`,
    f.`list_cost` AS `list_cost`,
    f.`effective_cost` AS `effective_cost`,
    f.`used_cost` AS `used_cost`,
    f.`waste_cost` AS `waste_cost`,
    f.`cost_by_currency` AS `cost_by_currency`
FROM
(
SELECT
    a.allocation AS `allocation`,
    argMinIf(a.`user`, a.ts, a.event = 'start') AS `user`,
    argMinIf(a.`name`, a.ts, a.event = 'start') AS `name`,
    argMinIf(a.`namespace`, a.ts, a.event = 'start') AS `namespace`,
    argMinIf(a.`image`, a.ts, a.event = 'start') AS `image`,
    argMinIf(a.`command`, a.ts, a.event = 'start') AS `command`,
    argMaxIf(a.labels, (a.ts, a.event = 'update'), a.has_labels) AS `labels`,
    nullIf(argMinIfOrNull(a.requested_gpus, a.ts, a.event = 'start'), -1) AS `requested_gpus`,
    nullIf(argMinIfOrNull(a.requested_walltime_seconds, a.ts, a.event = 'start'), -1) AS `requested_walltime_seconds`,
    if(toUnixTimestamp64Milli(argMinIf(a.submitted_at, a.ts, a.event = 'start')) = 0, NULL, argMinIf(a.submitted_at, a.ts, a.event = 'start')) AS `submitted_at`,
    minIfOrNull(a.ts, a.event = 'start') AS `start`,
    maxIfOrNull(a.ts, a.event = 'end') AS `end`,
    if(countIf(a.event = 'end') = 0, 'running', argMaxIf(a.state, a.ts, a.event = 'end')) AS `state`
FROM gpumeter.allocations_log AS a FINAL
GROUP BY a.allocation
) AS e
LEFT JOIN
(
SELECT
    s.allocation AS `allocation`,
    sum(s.gpu_ms_active) AS `gpu_ms_active`,
    sum(s.gpu_ms_idle_held) AS `gpu_ms_idle_held`,
    sum(s.gpu_ms_idle) AS `gpu_ms_idle`,
    sum(s.gpu_ms_unallocated) AS `gpu_ms_unallocated`,
    sum(s.gpu_ms_unavailable) AS `gpu_ms_unavailable`,
    sum(s.gpu_ms_unknown) AS `gpu_ms_unknown`,
    sum(s.used_gpu_ms) AS `used_gpu_ms`,
    sum(s.unpriced_gpu_ms) AS `unpriced_gpu_ms`,
    if(uniqExactIf(s.currency, s.currency != '') > 1, '', max(toString(s.currency))) AS `currency`,
    if(uniqExactIf(s.currency, s.currency != '') > 1, NULL, sum(s.list_cost)) AS `list_cost`,
    if(uniqExactIf(s.currency, s.currency != '') > 1, NULL, sum(s.effective_cost)) AS `effective_cost`,
    if(uniqExactIf(s.currency, s.currency != '') > 1, NULL, sum(s.used_cost)) AS `used_cost`,
    if(uniqExactIf(s.currency, s.currency != '') > 1, NULL, sum(s.waste_cost)) AS `waste_cost`,
    mapFromArrays(groupArrayIf(toString(s.currency), s.currency != ''), groupArrayIf((ifNull(s.list_cost, 0), ifNull(s.effective_cost, 0), ifNull(s.used_cost, 0), ifNull(s.waste_cost, 0))::Tuple(list_cost Decimal(38, 9), effective_cost Decimal(38, 9), used_cost Decimal(38, 9), waste_cost Decimal(38, 9)), s.currency != '')) AS `cost_by_currency`
FROM
(
SELECT c.allocation AS allocation, c.currency AS currency,
    sumIf(c.gpu_ms, c.state = 'active') AS gpu_ms_active,
    sumIf(c.gpu_ms, c.state = 'idle_held') AS gpu_ms_idle_held,
    sumIf(c.gpu_ms, c.state = 'idle') AS gpu_ms_idle,
    sumIf(c.gpu_ms, c.state = 'unallocated') AS gpu_ms_unallocated,
    sumIf(c.gpu_ms, c.state = 'unavailable') AS gpu_ms_unavailable,
    sumIf(c.gpu_ms, c.state = 'unknown') AS gpu_ms_unknown,
    sumIf(c.gpu_ms, c.price_status = 'unpriced') AS unpriced_gpu_ms,
    sum(c.used_gpu_ms) AS used_gpu_ms,
    sum(c.list_cost) AS list_cost,
    sum(c.effective_cost) AS effective_cost,
    sum(c.used_cost) AS used_cost,
    sum(c.waste_cost) AS waste_cost
FROM gpumeter.cost AS c
WHERE c.allocation != ''
GROUP BY c.allocation, c.currency
) AS s
GROUP BY s.allocation
) AS f ON f.allocation = e.allocation
COMMENT 'One row per allocation: who, what, when, how its GPU time was spent and what it cost.';

CREATE VIEW IF NOT EXISTS gpumeter.samples
(
    `node` LowCardinality(String) COMMENT 'node',
    `gpu` LowCardinality(String) COMMENT 'GPU UUID or other id, unique on its node',
    `slice` LowCardinality(String) COMMENT 'MIG instance of the GPU, empty for the whole device',
    `gpu_model` LowCardinality(String) COMMENT 'product name of the GPU',
    `interval_seconds` Float64 COMMENT 'cadence of the source [s]',
    `memory_total_bytes` Nullable(UInt64) COMMENT 'memory of the GPU or slice [By]',
    `ts` DateTime64(3, 'UTC') COMMENT 'event time, Unix milliseconds UTC [ms]',
    `utilization` Nullable(Float64) COMMENT 'share of time in which a kernel ran [fraction 0 to 1]',
    `sm_active` Nullable(Float64) COMMENT 'mean share of busy multiprocessors [fraction 0 to 1]',
    `tensor_active` Nullable(Float64) COMMENT 'share of cycles in which the tensor pipes were busy [fraction 0 to 1]',
    `dram_active` Nullable(Float64) COMMENT 'share of cycles in which device memory was busy [fraction 0 to 1]',
    `memory_used_bytes` Nullable(UInt64) COMMENT 'device memory in use [By]',
    `power_watts` Nullable(Float64) COMMENT 'power drawn [W]',
    `energy_joules` Nullable(UInt64) COMMENT 'energy counter since driver load, whole joules [J]',
    `temperature_celsius` Nullable(Int16) COMMENT 'GPU core temperature, whole degrees [Cel]',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record'
)
AS
SELECT
    `node` AS `node`,
    `gpu` AS `gpu`,
    `slice` AS `slice`,
    `gpu_model` AS `gpu_model`,
    if(`interval` = 0, 10, `interval` / 1000) AS `interval_seconds`,
    nullIf(nullIf(`memory_total_bytes`, 18446744073709551615), 0) AS `memory_total_bytes`,
    `ts` AS `ts`,
    if(`utilization` = 4294967295, NULL, `utilization` / 1000000) AS `utilization`,
    if(`sm_active` = 4294967295, NULL, `sm_active` / 1000000) AS `sm_active`,
    if(`tensor_active` = 4294967295, NULL, `tensor_active` / 1000000) AS `tensor_active`,
    if(`dram_active` = 4294967295, NULL, `dram_active` / 1000000) AS `dram_active`,
    nullIf(`memory_used_bytes`, 18446744073709551615) AS `memory_used_bytes`,
    if(`power` = 4294967295, NULL, `power` / 1000) AS `power_watts`,
    nullIf(`energy_joules`, 18446744073709551615) AS `energy_joules`,
    nullIf(`temperature_celsius`, -32768) AS `temperature_celsius`,
    `appended_at` AS `appended_at`
FROM gpumeter.samples_log FINAL
COMMENT 'Readings of GPUs and MIG slices.';

CREATE VIEW IF NOT EXISTS gpumeter.processes
(
    `ts` DateTime64(3, 'UTC') COMMENT 'event time, Unix milliseconds UTC [ms]',
    `node` String COMMENT 'node the GPU is in',
    `gpu` String COMMENT 'GPU id',
    `slice` String COMMENT 'MIG instance, empty for the whole device',
    `pid` Int64 COMMENT 'process id on the node',
    `allocation` String COMMENT 'allocation that owns the process, empty when unknown',
    `sm_utilization` Nullable(Float64) COMMENT 'share of multiprocessor time of this process [fraction 0 to 1]',
    `memory_used_bytes` Nullable(UInt64) COMMENT 'device memory of this process [By]',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record'
)
AS
SELECT
    `ts` AS `ts`,
    `node` AS `node`,
    `gpu` AS `gpu`,
    `slice` AS `slice`,
    `pid` AS `pid`,
    `allocation` AS `allocation`,
    if(`sm_utilization` = 4294967295, NULL, `sm_utilization` / 1000000) AS `sm_utilization`,
    nullIf(`memory_used_bytes`, 18446744073709551615) AS `memory_used_bytes`,
    `appended_at` AS `appended_at`
FROM gpumeter.processes_log FINAL
COMMENT 'Readings of processes on GPUs.';

CREATE VIEW IF NOT EXISTS gpumeter.resources
(
    `node` String COMMENT 'node',
    `resource` String COMMENT 'id of the instance or server',
    `cluster` String COMMENT 'cluster',
    `provider` String COMMENT 'cloud or owner',
    `region` String COMMENT 'region',
    `sku` String COMMENT 'instance type',
    `gpu_model` String COMMENT 'product name of its GPUs',
    `gpus` Array(String) COMMENT 'GPU ids, sorted by byte order, each once',
    `from` DateTime64(3, 'UTC') COMMENT 'first instant [ms]',
    `to` Nullable(DateTime64(3, 'UTC')) COMMENT 'first instant after it',
    `pricing_category` String COMMENT 'on_demand, spot, committed or owned',
    `scheduler` Bool COMMENT 'its allocations come from a scheduler: time nobody holds is unallocated',
    `idle_watts` Nullable(Float64) COMMENT 'power above this is activity [W]',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record'
)
AS
SELECT
    `node` AS `node`,
    `resource` AS `resource`,
    `cluster` AS `cluster`,
    `provider` AS `provider`,
    `region` AS `region`,
    `sku` AS `sku`,
    `gpu_model` AS `gpu_model`,
    `gpus` AS `gpus`,
    `from` AS `from`,
    if(toUnixTimestamp64Milli(`to`) = 0, NULL, `to`) AS `to`,
    `pricing_category` AS `pricing_category`,
    `scheduler` AS `scheduler`,
    if(`idle_watts` = 4294967295, NULL, `idle_watts` / 1000) AS `idle_watts`,
    `appended_at` AS `appended_at`
FROM gpumeter.resources_log FINAL
COMMENT 'Instances and servers that are paid for.';

CREATE VIEW IF NOT EXISTS gpumeter.prices
(
    `provider` String COMMENT 'cloud or owner',
    `region` String COMMENT 'region',
    `sku` String COMMENT 'instance type',
    `pricing_category` String COMMENT 'on_demand, spot, committed or owned',
    `currency` String COMMENT 'ISO 4217',
    `price_per_hour` Decimal(18, 9) COMMENT 'price of a whole resource-hour [currency]',
    `effective_from` DateTime64(3, 'UTC') COMMENT 'first instant [ms]',
    `effective_to` Nullable(DateTime64(3, 'UTC')) COMMENT 'first instant after it',
    `known_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when it became known',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record'
)
AS
SELECT
    `provider` AS `provider`,
    `region` AS `region`,
    `sku` AS `sku`,
    `pricing_category` AS `pricing_category`,
    `currency` AS `currency`,
    `price_per_hour` AS `price_per_hour`,
    `effective_from` AS `effective_from`,
    if(toUnixTimestamp64Milli(`effective_to`) = 0, NULL, `effective_to`) AS `effective_to`,
    if(toUnixTimestamp64Milli(`known_at`) = 0, NULL, `known_at`) AS `known_at`,
    `appended_at` AS `appended_at`
FROM gpumeter.prices_log FINAL
COMMENT 'Prices of a whole resource-hour.';

CREATE VIEW IF NOT EXISTS gpumeter.tags
(
    `match` String COMMENT 'key=glob;key=glob, as written',
    `set` String COMMENT 'key=value;key=value, as written',
    `effective_from` DateTime64(3, 'UTC') COMMENT 'first instant [ms]',
    `effective_to` Nullable(DateTime64(3, 'UTC')) COMMENT 'first instant after it',
    `priority` Int64 COMMENT 'higher wins',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record'
)
AS
SELECT
    `match` AS `match`,
    `set` AS `set`,
    `effective_from` AS `effective_from`,
    if(toUnixTimestamp64Milli(`effective_to`) = 0, NULL, `effective_to`) AS `effective_to`,
    `priority` AS `priority`,
    `appended_at` AS `appended_at`
FROM gpumeter.tags_log FINAL
COMMENT 'Attribution rules.';

CREATE VIEW IF NOT EXISTS gpumeter.dead_letters
(
    `stream` String COMMENT 'stream it came in on',
    `place` String COMMENT 'file and line, or topic, partition and offset',
    `reason` String COMMENT 'one of the reasons in docs/schemas.md',
    `detail` String COMMENT 'what is wrong and how to mend it',
    `payload` String COMMENT 'the offending bytes, cut at 64 KiB',
    `count` Int64 COMMENT 'how many records this letter stands for',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record',
    `id` String COMMENT 'name of the letter, as gpumeter dead-letters takes it',
    `state` String COMMENT 'open, retried or dropped',
    `note` String COMMENT 'why it was dropped, or where it was published again',
    `marked_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'when it was retried or dropped'
)
AS
SELECT
    `stream` AS `stream`,
    `place` AS `place`,
    `reason` AS `reason`,
    `detail` AS `detail`,
    `payload` AS `payload`,
    `count` AS `count`,
    `appended_at` AS `appended_at`,
    lower(hex(digest)) AS `id`,
    if(marks.last = '', 'open', marks.last) AS `state`,
    marks.why AS `note`,
    if(marks.last = '', NULL, marks.at) AS `marked_at`
FROM gpumeter.dead_letters_log AS letters FINAL
LEFT JOIN
(
    SELECT digest AS marked, argMax(state, marked_at) AS last, argMax(note, marked_at) AS why, max(marked_at) AS at
    FROM gpumeter.dead_letter_marks
    GROUP BY digest
) AS marks ON letters.digest = marks.marked
COMMENT 'What was refused or is reported, with place and reason.';

CREATE VIEW IF NOT EXISTS gpumeter.findings_history
(
    `finding` String COMMENT 'id: kind/allocation/opened_at, the same in all revisions',
    `revision` Int64 COMMENT '1, 2, 3, ...',
    `kind` String COMMENT 'idle',
    `status` String COMMENT 'open or resolved',
    `severity` String COMMENT 'notice or alert; never falls',
    `opened_at` DateTime64(3, 'UTC') COMMENT 'event time at which it was a notice [ms]',
    `threshold_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'event time at which it became an alert',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'event time up to which this revision counts [ms]',
    `resolved_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'event time at which it was over',
    `allocation` String COMMENT 'allocation it is about',
    `node` String COMMENT 'node of its GPUs, the first of several in byte order',
    `gpus` Array(String) COMMENT 'its GPUs as gpu or gpu/slice, sorted by node, gpu, slice',
    `user` String COMMENT 'user of the allocation',
    `name` String COMMENT 'name of the allocation',
    `team` String COMMENT 'attributed team',
    `burnt_cost` Nullable(Decimal(18, 9)) COMMENT 'list cost of its idle time since the idleness began [currency]',
    `cost_per_hour` Nullable(Decimal(18, 9)) COMMENT 'list cost of an hour of all its GPUs [currency]',
    `currency` String COMMENT 'currency of the costs, empty when unpriced',
    `evidence` Map(String, String) COMMENT 'measurements behind it, sorted by key',
    `advice` String COMMENT 'what to do',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record'
)
AS
SELECT
    `finding` AS `finding`,
    `revision` AS `revision`,
    `kind` AS `kind`,
    `status` AS `status`,
    `severity` AS `severity`,
    `opened_at` AS `opened_at`,
    if(toUnixTimestamp64Milli(`threshold_at`) = 0, NULL, `threshold_at`) AS `threshold_at`,
    `updated_at` AS `updated_at`,
    if(toUnixTimestamp64Milli(`resolved_at`) = 0, NULL, `resolved_at`) AS `resolved_at`,
    `allocation` AS `allocation`,
    `node` AS `node`,
    `gpus` AS `gpus`,
    `user` AS `user`,
    `name` AS `name`,
    `team` AS `team`,
    if(currency = '', NULL, `burnt_cost`) AS `burnt_cost`,
    if(currency = '', NULL, `cost_per_hour`) AS `cost_per_hour`,
    `currency` AS `currency`,
    `evidence` AS `evidence`,
    `advice` AS `advice`,
    `appended_at` AS `appended_at`
FROM gpumeter.findings_log FINAL
COMMENT 'Every revision of what was worth a person\'s attention, with money.';

CREATE VIEW IF NOT EXISTS gpumeter.findings
(
    `finding` String COMMENT 'id: kind/allocation/opened_at, the same in all revisions',
    `revision` Int64 COMMENT '1, 2, 3, ...',
    `kind` String COMMENT 'idle',
    `status` String COMMENT 'open or resolved',
    `severity` String COMMENT 'notice or alert; never falls',
    `opened_at` DateTime64(3, 'UTC') COMMENT 'event time at which it was a notice [ms]',
    `threshold_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'event time at which it became an alert',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'event time up to which this revision counts [ms]',
    `resolved_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'event time at which it was over',
    `allocation` String COMMENT 'allocation it is about',
    `node` String COMMENT 'node of its GPUs, the first of several in byte order',
    `gpus` Array(String) COMMENT 'its GPUs as gpu or gpu/slice, sorted by node, gpu, slice',
    `user` String COMMENT 'user of the allocation',
    `name` String COMMENT 'name of the allocation',
    `team` String COMMENT 'attributed team',
    `burnt_cost` Nullable(Decimal(18, 9)) COMMENT 'list cost of its idle time since the idleness began [currency]',
    `cost_per_hour` Nullable(Decimal(18, 9)) COMMENT 'list cost of an hour of all its GPUs [currency]',
    `currency` String COMMENT 'currency of the costs, empty when unpriced',
    `evidence` Map(String, String) COMMENT 'measurements behind it, sorted by key',
    `advice` String COMMENT 'what to do',
    `appended_at` DateTime64(3, 'UTC') COMMENT 'when the broker appended the record'
)
AS
SELECT *
FROM gpumeter.findings_history
ORDER BY finding, revision DESC
LIMIT 1 BY finding
COMMENT 'What is or was worth a person\'s attention, as now known.';
