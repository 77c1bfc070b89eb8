// clock.c - the system's clocks.
#include "clock.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PROC_STAT_SIZE = 1024,      // /proc/self/stat is one line of some 350 bytes
    PROC_STAT_START_FIELD = 20, // starttime, counted from the field behind the program's name
};

enum { SECOND_US = 1000000 };

static uint64_t
read_us(clockid_t id)
{
    struct timespec now;
    int rc = clock_gettime(id, &now);
    assert(rc == 0);
    return (uint64_t) now.tv_sec * SECOND_US + (uint64_t) now.tv_nsec / 1000;
}

uint64_t
clock_boot_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

uint64_t
clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

uint64_t
clock_boot_ms(void)
{
    return clock_boot_us() / 1000;
}

double
clock_process_age_ms(void)
{
    double now_ms = (double) clock_boot_us() / 1000.0;
    char line[PROC_STAT_SIZE];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t size = read(fd, line, sizeof(line) - 1);
    close(fd);
    if (size <= 0) {
        return 0;
    }
    line[size] = '\0';
    // The program's name may hold spaces and brackets: fields are counted from its last bracket.
    const char *at = strrchr(line, ')');
    for (int field = 0; at != NULL && field < PROC_STAT_START_FIELD; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL) {
        return 0;
    }
    double started_ms =
        (double) strtoull(at + 1, NULL, 10) * 1000.0 / (double) sysconf(_SC_CLK_TCK);
    double age_us = now_ms > started_ms ? (now_ms - started_ms) * 1000.0 : 0;
    return (double) (uint64_t) (age_us + 0.5) / 1000.0; // no digits that nobody measured
}
