// infrastructure_proc.h - figures of this machine and of one process on it, as the kernel tells
// them.
//
// Sources: proc(5), statvfs(3), clock_getcpuclockid(3). Parsing is apart from reading, so that it
// can be held against known texts. Nothing blocks but as the disk of statvfs does. Any thread.
#pragma once
#include "proto/auto.h"
#include <stdbool.h>
#include <stdint.h>

#define KERNEL_INFRASTRUCTURE_PROC_UNKNOWN UINT64_MAX // of a figure that we may not read

// Times of all processors since boot, in ticks.
typedef struct {
    uint64_t busy;  // user, nice, system, irq, softirq, steal
    uint64_t total; // the same, idle and iowait
} kernel_infrastructure_proc_cpu_t;

typedef struct {
    kernel_infrastructure_proc_cpu_t cpu;
    uint64_t memory_total;     // bytes
    uint64_t memory_available; // bytes that can be had without swapping
    double load1;
    unsigned cpus; // online
} kernel_infrastructure_proc_host_t;

typedef struct {
    uint64_t size;  // bytes
    uint64_t used;  // of them
    uint64_t avail; // of them, for others than root
} kernel_infrastructure_proc_disk_t;

typedef struct {
    uint64_t cpu_ns;        // that it took since its start, all threads
    uint64_t start_ticks;   // after boot: with the pid it is the process's name
    uint64_t memory_bytes;  // its own: without the files that it maps
    uint64_t mapped_bytes;  // of files (stores, mostly) and shared memory that are in memory
    uint64_t threads;       // now
    uint64_t descriptors;   // open; or UNKNOWN
    uint64_t read_bytes;    // from disk; or UNKNOWN
    uint64_t written_bytes; // to disk; or UNKNOWN
} kernel_infrastructure_proc_process_t;

// --- Parsing: false where the text is not as proc(5) says ----------------------------------------

// The first line of /proc/stat.
BUS_CHECK bool kernel_infrastructure_proc_parse_cpu(const char *text,
                                                    kernel_infrastructure_proc_cpu_t *ret_cpu);
// A line "<name>: <number> kB" of /proc/meminfo, or "<name>: <number>" of /proc/<pid>/io.
BUS_CHECK bool
kernel_infrastructure_proc_parse_line(const char *text, const char *name, uint64_t *ret_number);
// /proc/<pid>/stat: threads and start. The program's name in it may hold anything.
BUS_CHECK bool kernel_infrastructure_proc_parse_stat(const char *text,
                                                     uint64_t *ret_threads,
                                                     uint64_t *ret_start_ticks);
// /proc/<pid>/statm, in pages: what is in memory, and what of it are files or shared.
BUS_CHECK bool kernel_infrastructure_proc_parse_statm(const char *text,
                                                      uint64_t *ret_resident,
                                                      uint64_t *ret_shared);

// --- Reading -------------------------------------------------------------------------------------

// False where /proc does not tell.
BUS_CHECK bool kernel_infrastructure_proc_host(kernel_infrastructure_proc_host_t *ret_host);
// The file system that `path` is on. False where there is none.
BUS_CHECK bool kernel_infrastructure_proc_disk(const char *path,
                                               kernel_infrastructure_proc_disk_t *ret_disk);
// False where there is no such process (any more).
BUS_CHECK bool kernel_infrastructure_proc_process(int pid,
                                                  kernel_infrastructure_proc_process_t *ret);
// Microseconds that the process has lived, by its start. 0 where that cannot be told.
uint64_t kernel_infrastructure_proc_age_us(uint64_t start_ticks);
// How much of a whole is used, in percent: 0 of nothing.
double kernel_infrastructure_proc_percent(uint64_t part, uint64_t whole);
