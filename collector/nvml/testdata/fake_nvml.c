// A libnvidia-ml.so.1 that says what a script says, for tests of the real cgo
// path on machines without a GPU.
//
// The file that FAKE_NVML names is read at nvmlInit and again whenever it
// changed (replace it by a rename). A line is
//
//	WHO KEY VALUE
//
// WHO is a device's index, INDEX.SLICE for a MIG instance of it, or all for
// every device; later lines win. VALUE is a number, a text, auto (a value that
// changes), or !CODE: the call returns that code. What no line gives is not
// supported (code 3).
//
//	all    gpus N        devices of the node
//	all    init !9       nvmlInit fails
//	all    static 1      the script does not change any more: do not look
//	WHO    uuid, name    texts
//	WHO    hang 1        every call on the device blocks while this is 1
//	WHO    lost 1        every call on the device returns GPU_IS_LOST
//	WHO    handle !CODE  no handle at this index
//	WHO    util, total, reserved, used, power, energy, temp    units of NVML
//	WHO    sm, tensor, dram    percent; gpm 1 says that the device has them
//	WHO    pids 7,8      processes; pidmem BYTES for each of them
//	WHO    mig 1         MIG mode; slices N instances; of an instance gi, its GPU
//	                     instance, and compute, its compute slices
//
// Two calls on one device at one time abort the process: the source promises
// one outstanding call a GPU.
//
// -DOLD_DRIVER leaves out what came after 2016.

#define NVML_NO_UNVERSIONED_FUNC_DEFS 1
#include "nvml.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ALL = -1, DEVICE = -1, MAX_GPUS = 64, MAX_LINES = 2048 };

typedef struct {
	int gpu, slice;
	char key[16], text[160];
} line_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static line_t lines[MAX_LINES];
static int count, fixed;
static struct stat seen;
static double began;
static unsigned calls;
static int inside[MAX_GPUS];

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

// ---- the script ----

static void parse(FILE *f)
{
	char row[224], who[16];
	count = 0;
	while (count < MAX_LINES && fgets(row, sizeof row, f)) {
		line_t *l = &lines[count];
		if (sscanf(row, "%15s %15s %159[^\n]", who, l->key, l->text) != 3)
			continue;
		l->gpu = strncmp(who, "all", 3) == 0 ? ALL : atoi(who);
		char *dot = strchr(who, '.');
		l->slice = dot ? atoi(dot + 1) : DEVICE;
		count++;
	}
}

// find gives the value of a key, NULL if no line does. The lock is held.
static const char *find(int gpu, int slice, const char *key)
{
	for (int i = count - 1; i >= 0; i--)
		if ((lines[i].gpu == gpu || lines[i].gpu == ALL) && lines[i].slice == slice && strcmp(lines[i].key, key) == 0)
			return lines[i].text;
	return NULL;
}

static int is(int gpu, const char *key)
{
	const char *v = find(gpu, DEVICE, key);
	return v && strcmp(v, "1") == 0;
}

// refresh reads the script if it changed. The lock is held.
static void refresh(void)
{
	struct stat s;
	const char *path = getenv("FAKE_NVML");
	if (fixed || !path || stat(path, &s) != 0)
		return;
	if (s.st_ino == seen.st_ino && s.st_mtim.tv_nsec == seen.st_mtim.tv_nsec && s.st_mtim.tv_sec == seen.st_mtim.tv_sec)
		return;
	FILE *f = fopen(path, "r");
	if (!f)
		return;
	parse(f);
	fclose(f);
	seen = s;
	fixed = is(ALL, "static");
}

// ---- handles and calls ----

static int gpu_of(nvmlDevice_t d) { return ((int)(intptr_t)d.handle - 1) / 16; }
static int slice_of(nvmlDevice_t d) { return ((int)(intptr_t)d.handle - 1) % 16 - 1; }

static nvmlDevice_t handle(int gpu, int slice)
{
	nvmlDevice_t d = {(void *)(intptr_t)(gpu * 16 + slice + 2)};
	return d;
}

// enter begins a call on a device: it blocks while the script says so.
static nvmlReturn_t enter(nvmlDevice_t d)
{
	int gpu = gpu_of(d);
	pthread_mutex_lock(&lock);
	if (inside[gpu]++) {
		fprintf(stderr, "fake nvml: two calls on device %d at one time\n", gpu);
		abort();
	}
	calls++;
	refresh();
	while (is(gpu, "hang")) {
		pthread_mutex_unlock(&lock);
		usleep(2000);
		pthread_mutex_lock(&lock);
		refresh();
	}
	nvmlReturn_t ret = is(gpu, "lost") ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
	if (ret == NVML_SUCCESS && slice_of(d) >= 0) {
		const char *n = find(gpu, DEVICE, "slices");
		if (!n || slice_of(d) >= atoi(n))
			ret = NVML_ERROR_INVALID_ARGUMENT;
	}
	return ret;
}

static nvmlReturn_t leave(nvmlDevice_t d, nvmlReturn_t ret)
{
	inside[gpu_of(d)]--;
	pthread_mutex_unlock(&lock);
	return ret;
}

// number looks a value up. The lock is held.
static nvmlReturn_t number(nvmlDevice_t d, const char *key, double *out)
{
	int gpu = gpu_of(d);
	const char *v = find(gpu, slice_of(d), key);
	if (!v)
		return NVML_ERROR_NOT_SUPPORTED;
	if (v[0] == '!')
		return atoi(v + 1);
	*out = atof(v);
	if (strcmp(v, "auto") == 0)
		*out = strcmp(key, "energy") == 0 ? (now() - began) * 500e3 : (calls * 7 + gpu * 13) % 101;
	return NVML_SUCCESS;
}

static nvmlReturn_t unsigned_call(nvmlDevice_t d, const char *key, unsigned *out)
{
	double v = 0;
	nvmlReturn_t ret = enter(d);
	if (ret == NVML_SUCCESS && (ret = number(d, key, &v)) == NVML_SUCCESS)
		*out = (unsigned)v;
	return leave(d, ret);
}

static nvmlReturn_t text_call(nvmlDevice_t d, const char *key, char *out, unsigned size)
{
	nvmlReturn_t ret = enter(d);
	const char *v = ret == NVML_SUCCESS ? find(gpu_of(d), slice_of(d), key) : NULL;
	if (ret == NVML_SUCCESS && !v)
		ret = NVML_ERROR_NOT_SUPPORTED;
	if (v && v[0] == '!')
		ret = atoi(v + 1);
	else if (v)
		snprintf(out, size, "%s", v);
	return leave(d, ret);
}

// ---- the library ----

nvmlReturn_t nvmlInit_v2(void)
{
	pthread_mutex_lock(&lock);
	refresh();
	began = now();
	const char *v = find(ALL, DEVICE, "init");
	pthread_mutex_unlock(&lock);
	return v && v[0] == '!' ? atoi(v + 1) : NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void) { return NVML_SUCCESS; }

const char *nvmlErrorString(nvmlReturn_t r)
{
	return r == NVML_ERROR_GPU_IS_LOST ? "GPU is lost" : r == NVML_ERROR_DRIVER_NOT_LOADED ? "Driver Not Loaded" : "an error";
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *n)
{
	pthread_mutex_lock(&lock);
	const char *v = find(ALL, DEVICE, "gpus");
	*n = v ? atoi(v) : 0;
	pthread_mutex_unlock(&lock);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned i, nvmlDevice_t *d)
{
	double ignored;
	*d = handle(i, DEVICE);
	pthread_mutex_lock(&lock);
	nvmlReturn_t ret = number(*d, "handle", &ignored);
	pthread_mutex_unlock(&lock);
	return ret == NVML_ERROR_NOT_SUPPORTED ? NVML_SUCCESS : ret;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t d, char *s, unsigned n) { return text_call(d, "uuid", s, n); }
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t d, char *s, unsigned n) { return text_call(d, "name", s, n); }
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t d, unsigned *v) { return unsigned_call(d, "power", v); }
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t d, nvmlTemperatureSensors_t s, unsigned *v) { return unsigned_call(d, "temp", v); }

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *u)
{
	u->memory = 0;
	return unsigned_call(d, "util", &u->gpu);
}

static nvmlReturn_t memory(nvmlDevice_t d, double *total, double *reserved, double *used)
{
	nvmlReturn_t ret = enter(d);
	if (ret == NVML_SUCCESS && (ret = number(d, "total", total)) == NVML_SUCCESS && (ret = number(d, "used", used)) == NVML_SUCCESS)
		if (number(d, "reserved", reserved) != NVML_SUCCESS)
			*reserved = 0;
	return leave(d, ret);
}

// As the driver's, the first version counts what is reserved as used.
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *m)
{
	double total, reserved, used;
	nvmlReturn_t ret = memory(d, &total, &reserved, &used);
	if (ret == NVML_SUCCESS)
		*m = (nvmlMemory_t){.total = total, .used = used + reserved, .free = total - reserved - used};
	return ret;
}

// list gives the pids of d. The lock is held.
static int list(nvmlDevice_t d, unsigned *pids, int room)
{
	int n = 0;
	const char *v = find(gpu_of(d), slice_of(d), "pids");
	for (; v && *v && n < room; v = strchr(v, ',') ? strchr(v, ',') + 1 : "")
		pids[n++] = atoi(v);
	return n;
}

static nvmlReturn_t processes(nvmlDevice_t d, unsigned *n, void (*put)(void *, int, unsigned, unsigned long long), void *infos)
{
	unsigned pids[64];
	double bytes;
	nvmlReturn_t ret = enter(d);
	if (ret != NVML_SUCCESS)
		return leave(d, ret);
	const char *v = find(gpu_of(d), slice_of(d), "pids");
	if (v && v[0] == '!')
		return leave(d, atoi(v + 1));
	unsigned room = *n;
	*n = list(d, pids, 64);
	if (*n > room)
		return leave(d, NVML_ERROR_INSUFFICIENT_SIZE);
	for (unsigned i = 0; i < *n; i++)
		put(infos, i, pids[i], number(d, "pidmem", &bytes) == NVML_SUCCESS ? (unsigned long long)bytes : (unsigned long long)NVML_VALUE_NOT_AVAILABLE);
	return leave(d, NVML_SUCCESS);
}

static void put_v1(void *to, int i, unsigned pid, unsigned long long bytes)
{
	((nvmlProcessInfo_v1_t *)to)[i] = (nvmlProcessInfo_v1_t){.pid = pid, .usedGpuMemory = bytes};
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t d, unsigned *n, nvmlProcessInfo_v1_t *p)
{
	return processes(d, n, put_v1, p);
}

#ifndef OLD_DRIVER

nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t d, unsigned long long *mj)
{
	double v = 0;
	nvmlReturn_t ret = enter(d);
	if (ret == NVML_SUCCESS && (ret = number(d, "energy", &v)) == NVML_SUCCESS)
		*mj = (unsigned long long)v;
	return leave(d, ret);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *m)
{
	double total, reserved, used;
	if (m->version != nvmlMemory_v2)
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	nvmlReturn_t ret = memory(d, &total, &reserved, &used);
	if (ret == NVML_SUCCESS) {
		m->total = total, m->reserved = reserved, m->used = used;
		m->free = total - reserved - used;
	}
	return ret;
}

static void put_v3(void *to, int i, unsigned pid, unsigned long long bytes)
{
	((nvmlProcessInfo_t *)to)[i] = (nvmlProcessInfo_t){.pid = pid, .usedGpuMemory = bytes, .gpuInstanceId = -1, .computeInstanceId = -1};
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned *n, nvmlProcessInfo_t *p)
{
	return processes(d, n, put_v3, p);
}

// ---- MIG ----

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t d, unsigned *current, unsigned *pending)
{
	nvmlReturn_t ret = unsigned_call(d, "mig", current);
	*pending = *current;
	return ret;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t d, unsigned *n)
{
	*n = 7;
	return leave(d, enter(d));
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t d, unsigned i, nvmlDevice_t *slice)
{
	nvmlReturn_t ret = enter(d);
	const char *n = find(gpu_of(d), DEVICE, "slices");
	if (ret == NVML_SUCCESS && (!n || i >= (unsigned)atoi(n)))
		ret = NVML_ERROR_NOT_FOUND;
	*slice = handle(gpu_of(d), i);
	return leave(d, ret);
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t d, nvmlDeviceAttributes_t *a)
{
	*a = (nvmlDeviceAttributes_t){0};
	return unsigned_call(d, "compute", &a->computeInstanceSliceCount);
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t d, unsigned *id) { return unsigned_call(d, "gi", id); }

// ---- GPM ----

struct nvmlGpmSample_st {
	nvmlDevice_t of;
	double at;
};

nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t d, nvmlGpmSupport_t *s)
{
	enter(d);
	s->isSupportedDevice = is(gpu_of(d), "gpm");
	return leave(d, NVML_SUCCESS);
}

nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *s)
{
	s->handle = calloc(1, sizeof *s->handle);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t s)
{
	free(s.handle);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t d, nvmlGpmSample_t s)
{
	nvmlReturn_t ret = enter(d);
	*s.handle = (struct nvmlGpmSample_st){d, now()};
	return leave(d, ret);
}

nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t d, unsigned gi, nvmlGpmSample_t s)
{
	double id;
	nvmlReturn_t ret = enter(d), got = NVML_ERROR_NOT_FOUND;
	for (int i = 0; i < 7 && ret == NVML_SUCCESS && got != NVML_SUCCESS; i++)
		if (number(handle(gpu_of(d), i), "gi", &id) == NVML_SUCCESS && (unsigned)id == gi) {
			*s.handle = (struct nvmlGpmSample_st){handle(gpu_of(d), i), now()};
			got = NVML_SUCCESS;
		}
	return leave(d, ret == NVML_SUCCESS ? got : ret);
}

// Counters that are not 100 ms apart give no number, as the driver's do.
nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *m)
{
	struct nvmlGpmSample_st *from = m->sample1.handle, *to = m->sample2.handle;
	if (m->version != NVML_GPM_METRICS_GET_VERSION || from->of.handle != to->of.handle || from->at > to->at)
		return NVML_ERROR_INVALID_ARGUMENT;
	for (unsigned i = 0; i < m->numMetrics; i++) {
		unsigned id = m->metrics[i].metricId;
		const char *key = id == NVML_GPM_METRIC_SM_UTIL           ? "sm"
				  : id == NVML_GPM_METRIC_ANY_TENSOR_UTIL ? "tensor"
									  : "dram";
		pthread_mutex_lock(&lock);
		m->metrics[i].nvmlReturn = number(to->of, key, &m->metrics[i].value);
		pthread_mutex_unlock(&lock);
		if (to->at - from->at <= 0.1)
			m->metrics[i].value = NAN;
	}
	return NVML_SUCCESS;
}

#endif
