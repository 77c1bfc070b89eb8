// infrastructure_proc.c - figures of this machine and its processes. See infrastructure_proc.h.
//
// A process's processor time is read from its clock, in nanoseconds: /proc/<pid>/stat counts ticks
// of 10 ms, too coarse for a short interval and a lazy process.
#include "infrastructure_proc.h"

#include "runtime/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    TEXT_SIZE = 4096, // what is wanted stands at the beginning of each of these files
    PATH_SIZE = 64,
    STAT_FIELDS_MAX = 22,    // up to the start time
    STAT_FIELD_THREADS = 20, // numbered as in proc(5)
    STAT_FIELD_FIRST = 3,    // behind the name
    CPU_FIELDS = 8,          // user to steal; guest times are within user and nice
    CPU_IDLE = 3,
    CPU_IOWAIT = 4,
};

// --- Parsing -------------------------------------------------------------------------------------

// Reads a number and steps behind it.
static bool
take_number(const char **at, uint64_t *ret_number)
{
    char *end;
    while (**at == ' ') {
        ++*at;
    }
    if (**at < '0' || **at > '9') {
        return false;
    }
    *ret_number = strtoull(*at, &end, 10);
    *at = end;
    return true;
}

bool
kernel_infrastructure_proc_parse_cpu(const char *text, kernel_infrastructure_proc_cpu_t *ret_cpu)
{
    static const char mark[] = "cpu ";
    if (strncmp(text, mark, strlen(mark)) != 0) {
        return false;
    }
    const char *at = text + strlen(mark);
    kernel_infrastructure_proc_cpu_t cpu = {.busy = 0};
    for (unsigned i = 0; i < CPU_FIELDS; i++) {
        uint64_t ticks;
        if (!take_number(&at, &ticks)) {
            return false;
        }
        cpu.total += ticks;
        cpu.busy += i == CPU_IDLE || i == CPU_IOWAIT ? 0 : ticks;
    }
    *ret_cpu = cpu;
    return true;
}

bool
kernel_infrastructure_proc_parse_line(const char *text, const char *name, uint64_t *ret_number)
{
    size_t size = strlen(name);
    const char *line = text;
    while (line != NULL && *line != '\0') {
        if (strncmp(line, name, size) == 0 && line[size] == ':') {
            const char *at = line + size + 1;
            return take_number(&at, ret_number);
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return false;
}

bool
kernel_infrastructure_proc_parse_stat(const char *text,
                                      uint64_t *ret_threads,
                                      uint64_t *ret_start_ticks)
{
    const char *at = strrchr(text, ')'); // a name may hold any other byte, and more of these
    uint64_t threads = 0;
    if (at == NULL) {
        return false;
    }
    for (unsigned field = STAT_FIELD_FIRST; field <= STAT_FIELDS_MAX; field++) {
        at = strchr(at, ' ');
        if (at == NULL) {
            return false;
        }
        ++at;
        const char *number = at;
        if (field == STAT_FIELD_THREADS && !take_number(&number, &threads)) {
            return false;
        }
    }
    *ret_threads = threads;
    return take_number(&at, ret_start_ticks);
}

bool
kernel_infrastructure_proc_parse_statm(const char *text,
                                       uint64_t *ret_resident,
                                       uint64_t *ret_shared)
{
    uint64_t size;
    const char *at = text;
    return take_number(&at, &size) && take_number(&at, ret_resident) &&
           take_number(&at, ret_shared);
}

// --- Reading -------------------------------------------------------------------------------------

// The first bytes of a file, as text.
static bool
read_text(const char *path, char ret_text[TEXT_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t size = read(fd, ret_text, TEXT_SIZE - 1);
    close(fd);
    if (size <= 0) {
        return false;
    }
    ret_text[size] = '\0';
    return true;
}

bool
kernel_infrastructure_proc_host(kernel_infrastructure_proc_host_t *ret_host)
{
    char text[TEXT_SIZE];
    kernel_infrastructure_proc_host_t host;
    uint64_t total_kib;
    uint64_t available_kib;
    if (!read_text("/proc/stat", text) || !kernel_infrastructure_proc_parse_cpu(text, &host.cpu) ||
        !read_text("/proc/meminfo", text) ||
        !kernel_infrastructure_proc_parse_line(text, "MemTotal", &total_kib) ||
        !kernel_infrastructure_proc_parse_line(text, "MemAvailable", &available_kib) ||
        !read_text("/proc/loadavg", text)) {
        return false;
    }
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    host.load1 = strtod(text, NULL);
    host.memory_total = total_kib * 1024;
    host.memory_available = available_kib * 1024;
    host.cpus = cpus < 1 ? 1 : (unsigned) cpus;
    *ret_host = host;
    return true;
}

bool
kernel_infrastructure_proc_disk(const char *path, kernel_infrastructure_proc_disk_t *ret_disk)
{
    struct statvfs disk;
    if (statvfs(path, &disk) != 0) {
        return false;
    }
    *ret_disk = (kernel_infrastructure_proc_disk_t){
        .size = disk.f_blocks * disk.f_frsize,
        .used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
        .avail = disk.f_bavail * disk.f_frsize,
    };
    return true;
}

// How many descriptors are open; UNKNOWN where we may not look.
static uint64_t
count_descriptors(int pid)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return KERNEL_INFRASTRUCTURE_PROC_UNKNOWN;
    }
    uint64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return pid == getpid() ? count - 1 : count; // the folder's own
}

static void
read_io(int pid, kernel_infrastructure_proc_process_t *process)
{
    char path[PATH_SIZE];
    char text[TEXT_SIZE];
    snprintf(path, sizeof path, "/proc/%d/io", pid);
    if (!read_text(path, text) ||
        !kernel_infrastructure_proc_parse_line(text, "read_bytes", &process->read_bytes) ||
        !kernel_infrastructure_proc_parse_line(text, "write_bytes", &process->written_bytes)) {
        process->read_bytes = KERNEL_INFRASTRUCTURE_PROC_UNKNOWN;
        process->written_bytes = KERNEL_INFRASTRUCTURE_PROC_UNKNOWN;
    }
}

static bool
read_cpu_ns(int pid, uint64_t *ret_cpu_ns)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
        return false;
    }
    *ret_cpu_ns = (uint64_t) time.tv_sec * UINT64_C(1000000000) + (uint64_t) time.tv_nsec;
    return true;
}

bool
kernel_infrastructure_proc_process(int pid, kernel_infrastructure_proc_process_t *ret)
{
    char path[PATH_SIZE];
    char text[TEXT_SIZE];
    kernel_infrastructure_proc_process_t process;
    uint64_t resident;
    uint64_t shared;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!read_text(path, text) ||
        !kernel_infrastructure_proc_parse_stat(text, &process.threads, &process.start_ticks)) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    if (!read_text(path, text) ||
        !kernel_infrastructure_proc_parse_statm(text, &resident, &shared) ||
        !read_cpu_ns(pid, &process.cpu_ns)) {
        return false;
    }
    uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE);
    process.memory_bytes = resident > shared ? (resident - shared) * page : 0;
    process.mapped_bytes = shared * page;
    process.descriptors = count_descriptors(pid);
    read_io(pid, &process);
    *ret = process;
    return true;
}

uint64_t
kernel_infrastructure_proc_age_us(uint64_t start_ticks)
{
    uint64_t start_us = start_ticks * UINT64_C(1000000) / (uint64_t) sysconf(_SC_CLK_TCK);
    uint64_t now_us = clock_boot_us();
    return now_us > start_us ? now_us - start_us : 0;
}

double
kernel_infrastructure_proc_percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0.0 : 100.0 * (double) part / (double) whole;
}
