// infrastructure_sample.h - readings turned into figures: what happened between two of them.
//
// Owner: the loop's thread. Memory only: after a restart the first message's shares are of the time
// since the kernel's start, and a process's since its own.
#pragma once
#include "infrastructure_proc.h"
#include "watch.h"

enum {
    KERNEL_INFRASTRUCTURE_SAMPLE_PROCESSES_MAX = 256, // of the bus on one machine; 15 are usual
    KERNEL_INFRASTRUCTURE_SAMPLE_NAME_SIZE = 129,     // of a service, with its NUL
    KERNEL_INFRASTRUCTURE_SAMPLE_HOST_SIZE = 65,
};

typedef struct {
    char service[KERNEL_INFRASTRUCTURE_SAMPLE_NAME_SIZE]; // that it answers for; of several the
                                                          // first by name
    int pid;
    double cpu_percent; // of one processor since the last reading
    kernel_infrastructure_proc_process_t now;
    uint64_t at_us; // of the reading, boot clock
    bool is_seen;   // in this reading
} kernel_infrastructure_sample_process_t;

// What is summed up.
typedef enum {
    KERNEL_INFRASTRUCTURE_SAMPLE_CPU,        // cpu_percent
    KERNEL_INFRASTRUCTURE_SAMPLE_MEMORY,     // memory_percent
    KERNEL_INFRASTRUCTURE_SAMPLE_DISK,       // disk_percent
    KERNEL_INFRASTRUCTURE_SAMPLE_LOAD,       // load1
    KERNEL_INFRASTRUCTURE_SAMPLE_BUS_CPU,    // bus_cpu_percent: of all processes of the bus
    KERNEL_INFRASTRUCTURE_SAMPLE_BUS_MEMORY, // bus_memory_bytes
    KERNEL_INFRASTRUCTURE_SAMPLE_LAG,        // lag: of the slowest reader, in records
    KERNEL_INFRASTRUCTURE_SAMPLE_COMMIT,     // commit_p99_us: of the broker's commits
    KERNEL_INFRASTRUCTURE_SAMPLE_COUNT
} kernel_infrastructure_sample_metric_t;

typedef struct {
    double min, max, sum;
    uint64_t count; // 0: the rest says nothing
} kernel_infrastructure_sample_sum_t;

typedef kernel_infrastructure_sample_sum_t
    kernel_infrastructure_sample_sums_t[KERNEL_INFRASTRUCTURE_SAMPLE_COUNT];

typedef struct {
    char host_name[KERNEL_INFRASTRUCTURE_SAMPLE_HOST_SIZE];
    kernel_infrastructure_proc_host_t host; // as read last
    kernel_infrastructure_proc_disk_t disk; // the same
    double cpu_percent;                     // of all processors
    double memory_percent;
    double disk_percent; // as df says it
    double bus_cpu_percent;
    uint64_t bus_memory_bytes;
    kernel_infrastructure_sample_process_t *processes; // owned
    size_t process_count;
    uint64_t skipped; // processes of this machine beyond PROCESSES_MAX
} kernel_infrastructure_sample_t;

// Takes the first reading, from which the next one's shares count.
void kernel_infrastructure_sample_init(kernel_infrastructure_sample_t *self);
void kernel_infrastructure_sample_clear(kernel_infrastructure_sample_t *self);

// Reads the machine, and the disk that `dir` is on. False where that failed; the figures are then
// those of before.
BUS_CHECK bool kernel_infrastructure_sample_host(kernel_infrastructure_sample_t *self,
                                                 const char *dir);
// Then each process, between the two: one that answers for several services counts once.
void kernel_infrastructure_sample_begin(kernel_infrastructure_sample_t *self);
void
kernel_infrastructure_sample_add(kernel_infrastructure_sample_t *self, bus_view_t service, int pid);
void kernel_infrastructure_sample_end(kernel_infrastructure_sample_t *self);

// The share of all processors between two readings; `before` where no time went by.
double kernel_infrastructure_sample_share(const kernel_infrastructure_proc_cpu_t *from,
                                          const kernel_infrastructure_proc_cpu_t *to,
                                          double before);

void kernel_infrastructure_sample_sum_add(kernel_infrastructure_sample_sum_t *self, double value);
double kernel_infrastructure_sample_mean(const kernel_infrastructure_sample_sum_t *self);
// "cpu_percent"
const char *kernel_infrastructure_sample_text(kernel_infrastructure_sample_metric_t metric);
// Adds this reading's figures, without those that the broker tells.
void kernel_infrastructure_sample_sum(const kernel_infrastructure_sample_t *self,
                                      kernel_infrastructure_sample_sums_t sums);

// The messages' parts: values without their keys.
void kernel_infrastructure_sample_pack_host(const kernel_infrastructure_sample_t *self,
                                            pack_t *out);
void kernel_infrastructure_sample_pack_processes(const kernel_infrastructure_sample_t *self,
                                                 pack_t *out);
// metric -> {min, mean, max} for those that have samples.
void kernel_infrastructure_sample_pack_sums(const kernel_infrastructure_sample_sums_t sums,
                                            pack_t *out);
// How many figures the two parts before hold.
uint64_t kernel_infrastructure_sample_figures(const kernel_infrastructure_sample_t *self);
