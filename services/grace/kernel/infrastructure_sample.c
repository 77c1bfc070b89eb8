// infrastructure_sample.c - readings turned into figures. See infrastructure_sample.h.
#include "infrastructure_sample.h"

#include "runtime/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    HOST_FIGURES = 8,    // without the name
    PROCESS_FIGURES = 8, // without its service and pid
};

void
kernel_infrastructure_sample_init(kernel_infrastructure_sample_t *self)
{
    *self = (kernel_infrastructure_sample_t){
        .processes = calloc(KERNEL_INFRASTRUCTURE_SAMPLE_PROCESSES_MAX, sizeof *self->processes),
    };
    assert(self->processes);
    if (gethostname(self->host_name, sizeof self->host_name - 1) != 0) {
        self->host_name[0] = '\0';
    }
    if (!kernel_infrastructure_proc_host(&self->host)) {
        self->host = (kernel_infrastructure_proc_host_t){.cpus = 1};
    }
}

void
kernel_infrastructure_sample_clear(kernel_infrastructure_sample_t *self)
{
    free(self->processes);
    self->processes = NULL;
}

// --- The machine ---------------------------------------------------------------------------------

double
kernel_infrastructure_sample_share(const kernel_infrastructure_proc_cpu_t *from,
                                   const kernel_infrastructure_proc_cpu_t *to,
                                   double before)
{
    // Linux lets iowait go back now and then, so any of these may.
    if (to->total <= from->total || to->busy < from->busy) {
        return before;
    }
    double percent =
        kernel_infrastructure_proc_percent(to->busy - from->busy, to->total - from->total);
    return percent > 100.0 ? 100.0 : percent;
}

bool
kernel_infrastructure_sample_host(kernel_infrastructure_sample_t *self, const char *dir)
{
    kernel_infrastructure_proc_host_t host;
    kernel_infrastructure_proc_disk_t disk;
    if (!kernel_infrastructure_proc_host(&host) || !kernel_infrastructure_proc_disk(dir, &disk)) {
        return false;
    }
    self->cpu_percent =
        kernel_infrastructure_sample_share(&self->host.cpu, &host.cpu, self->cpu_percent);
    self->memory_percent = kernel_infrastructure_proc_percent(
        host.memory_total - host.memory_available, host.memory_total);
    self->disk_percent = kernel_infrastructure_proc_percent(disk.used, disk.used + disk.avail);
    self->host = host;
    self->disk = disk;
    return true;
}

// --- Processes -----------------------------------------------------------------------------------

void
kernel_infrastructure_sample_begin(kernel_infrastructure_sample_t *self)
{
    for (size_t i = 0; i < self->process_count; i++) {
        self->processes[i].is_seen = false;
    }
    self->skipped = 0;
}

static kernel_infrastructure_sample_process_t *
require(kernel_infrastructure_sample_t *self, int pid)
{
    for (size_t i = 0; i < self->process_count; i++) {
        if (self->processes[i].pid == pid) {
            return &self->processes[i];
        }
    }
    if (self->process_count == KERNEL_INFRASTRUCTURE_SAMPLE_PROCESSES_MAX) {
        return NULL;
    }
    kernel_infrastructure_sample_process_t *process = &self->processes[self->process_count++];
    *process = (kernel_infrastructure_sample_process_t){.pid = pid};
    return process;
}

static double
process_share(const kernel_infrastructure_sample_process_t *before,
              const kernel_infrastructure_proc_process_t *now,
              uint64_t now_us)
{
    bool is_known = before->at_us != 0 && before->now.start_ticks == now->start_ticks;
    uint64_t cpu_ns = is_known ? now->cpu_ns - before->now.cpu_ns : now->cpu_ns;
    uint64_t time_us =
        is_known ? now_us - before->at_us : kernel_infrastructure_proc_age_us(now->start_ticks);
    return kernel_infrastructure_proc_percent(cpu_ns, time_us * 1000);
}

// The list of peers has no order: of several names the first by name is the same each time.
static void
take_name(kernel_infrastructure_sample_process_t *process, bus_view_t service)
{
    char name[KERNEL_INFRASTRUCTURE_SAMPLE_NAME_SIZE];
    (void) view_copy(service, name, sizeof name);
    if (process->service[0] == '\0' || strcmp(name, process->service) < 0) {
        memcpy(process->service, name, sizeof name);
    }
}

void
kernel_infrastructure_sample_add(kernel_infrastructure_sample_t *self, bus_view_t service, int pid)
{
    kernel_infrastructure_proc_process_t now;
    kernel_infrastructure_sample_process_t *process = require(self, pid);
    if (process == NULL) {
        self->skipped++;
        return;
    }
    if (process->is_seen) {
        take_name(process, service);
        return;
    }
    if (!kernel_infrastructure_proc_process(pid, &now)) {
        return;
    }
    uint64_t now_us = clock_boot_us();
    process->cpu_percent = process_share(process, &now, now_us);
    process->now = now;
    process->at_us = now_us;
    process->is_seen = true;
    process->service[0] = '\0';
    take_name(process, service);
}

void
kernel_infrastructure_sample_end(kernel_infrastructure_sample_t *self)
{
    size_t kept = 0;
    self->bus_cpu_percent = 0.0;
    self->bus_memory_bytes = 0;
    for (size_t i = 0; i < self->process_count; i++) {
        if (self->processes[i].is_seen) {
            self->bus_cpu_percent += self->processes[i].cpu_percent;
            self->bus_memory_bytes += self->processes[i].now.memory_bytes;
            self->processes[kept++] = self->processes[i];
        }
    }
    self->process_count = kept;
}

// --- Sums ----------------------------------------------------------------------------------------

void
kernel_infrastructure_sample_sum_add(kernel_infrastructure_sample_sum_t *self, double value)
{
    self->min = self->count == 0 || value < self->min ? value : self->min;
    self->max = self->count == 0 || value > self->max ? value : self->max;
    self->sum += value;
    self->count++;
}

double
kernel_infrastructure_sample_mean(const kernel_infrastructure_sample_sum_t *self)
{
    if (self->count == 0) {
        return 0.0;
    }
    double mean = self->sum / (double) self->count;
    mean = mean < self->min ? self->min : mean; // rounding may take it past what it is the mean of
    return mean > self->max ? self->max : mean;
}

const char *
kernel_infrastructure_sample_text(kernel_infrastructure_sample_metric_t metric)
{
    static const char *const texts[KERNEL_INFRASTRUCTURE_SAMPLE_COUNT] = {
        [KERNEL_INFRASTRUCTURE_SAMPLE_CPU] = "cpu_percent",
        [KERNEL_INFRASTRUCTURE_SAMPLE_MEMORY] = "memory_percent",
        [KERNEL_INFRASTRUCTURE_SAMPLE_DISK] = "disk_percent",
        [KERNEL_INFRASTRUCTURE_SAMPLE_LOAD] = "load1",
        [KERNEL_INFRASTRUCTURE_SAMPLE_BUS_CPU] = "bus_cpu_percent",
        [KERNEL_INFRASTRUCTURE_SAMPLE_BUS_MEMORY] = "bus_memory_bytes",
        [KERNEL_INFRASTRUCTURE_SAMPLE_LAG] = "lag",
        [KERNEL_INFRASTRUCTURE_SAMPLE_COMMIT] = "commit_p99_us",
    };
    return texts[metric];
}

void
kernel_infrastructure_sample_sum(const kernel_infrastructure_sample_t *self,
                                 kernel_infrastructure_sample_sums_t sums)
{
    const struct {
        kernel_infrastructure_sample_metric_t metric;
        double value;
    } figures[] = {
        {KERNEL_INFRASTRUCTURE_SAMPLE_CPU, self->cpu_percent},
        {KERNEL_INFRASTRUCTURE_SAMPLE_MEMORY, self->memory_percent},
        {KERNEL_INFRASTRUCTURE_SAMPLE_DISK, self->disk_percent},
        {KERNEL_INFRASTRUCTURE_SAMPLE_LOAD, self->host.load1},
        {KERNEL_INFRASTRUCTURE_SAMPLE_BUS_CPU, self->bus_cpu_percent},
        {KERNEL_INFRASTRUCTURE_SAMPLE_BUS_MEMORY, (double) self->bus_memory_bytes},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        kernel_infrastructure_sample_sum_add(&sums[figures[i].metric], figures[i].value);
    }
}

// --- As messages ---------------------------------------------------------------------------------

void
kernel_infrastructure_sample_pack_host(const kernel_infrastructure_sample_t *self, pack_t *out)
{
    pack_map(out, HOST_FIGURES + 1);
    pack_pair_text(out, "name", self->host_name);
    pack_pair_uint(out, "cpus", self->host.cpus);
    pack_pair_real(out, "cpu_percent", self->cpu_percent);
    pack_pair_real(out, "memory_percent", self->memory_percent);
    pack_pair_uint(out, "memory_total_bytes", self->host.memory_total);
    pack_pair_uint(out, "memory_available_bytes", self->host.memory_available);
    pack_pair_real(out, "load1", self->host.load1);
    pack_pair_real(out, "disk_percent", self->disk_percent);
    pack_pair_uint(out, "disk_free_bytes", self->disk.avail);
}

// nil where it is not known.
static void
pack_known(pack_t *out, const char *key, uint64_t value)
{
    if (value == KERNEL_INFRASTRUCTURE_PROC_UNKNOWN) {
        pack_pair_nil(out, key);
    } else {
        pack_pair_uint(out, key, value);
    }
}

void
kernel_infrastructure_sample_pack_processes(const kernel_infrastructure_sample_t *self, pack_t *out)
{
    pack_array(out, (uint32_t) self->process_count);
    for (size_t i = 0; i < self->process_count; i++) {
        const kernel_infrastructure_sample_process_t *process = &self->processes[i];
        const kernel_infrastructure_proc_process_t *now = &process->now;
        pack_map(out, PROCESS_FIGURES + 2);
        pack_pair_text(out, "service", process->service);
        pack_pair_int(out, "pid", process->pid);
        pack_pair_real(out, "cpu_percent", process->cpu_percent);
        pack_pair_real(out, "cpu_seconds", (double) now->cpu_ns / 1e9);
        pack_pair_uint(out, "memory_bytes", now->memory_bytes);
        pack_pair_uint(out, "mapped_bytes", now->mapped_bytes);
        pack_pair_uint(out, "threads", now->threads);
        pack_known(out, "descriptors", now->descriptors);
        pack_known(out, "read_bytes", now->read_bytes);
        pack_known(out, "written_bytes", now->written_bytes);
    }
}

void
kernel_infrastructure_sample_pack_sums(const kernel_infrastructure_sample_sums_t sums, pack_t *out)
{
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    for (unsigned i = 0; i < KERNEL_INFRASTRUCTURE_SAMPLE_COUNT; i++) {
        if (sums[i].count > 0) {
            pack_text(out,
                      kernel_infrastructure_sample_text((kernel_infrastructure_sample_metric_t) i));
            pack_map(out, 3);
            pack_pair_real(out, "min", sums[i].min);
            pack_pair_real(out, "mean", kernel_infrastructure_sample_mean(&sums[i]));
            pack_pair_real(out, "max", sums[i].max);
            count++;
        }
    }
    pack_count(out, place, count);
}

uint64_t
kernel_infrastructure_sample_figures(const kernel_infrastructure_sample_t *self)
{
    return HOST_FIGURES + (uint64_t) self->process_count * PROCESS_FIGURES;
}
