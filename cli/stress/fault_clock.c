// fault_clock.c - scenario skew_clock: a wall clock that is stepped while events flow.
//
// A time namespace moves only the monotonic and the boot clock, and setting the machine's own clock
// would be felt by everybody on it. So the parts run under Debian's libfaketime, which answers
// their questions for the wall clock out of a file that we write.
#include "fault_bus.h"

#include "proto/rfc3339.h"
#include "runtime/clock.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WAIT_MS = 10000,
    WARM_EVENTS = 200,
    STEP_EVENTS = 300, // under each position of the clock
    HOUR_S = 3600,
    YEAR_S = 365 * 24 * HOUR_S,
    NEAR_S = 60,      // the journal's time may be so far from ours
    TAIL_SIZE = 16384 // of the log: what was said last
};

#if defined(__has_feature)
#define IS_SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

// Where the library lies. False: nowhere that we know.
static bool
find_library(char ret_path[CLI_PATH_SIZE])
{
    static const char *const patterns[] = {"/usr/lib/*/faketime/libfaketime.so.1",
                                           "/usr/lib*/faketime/libfaketime.so.1",
                                           "/usr/local/lib/faketime/libfaketime.so.1"};
    bool is_found = false;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0] && !is_found; ++i) {
        glob_t found = {0};
        is_found = glob(patterns[i], 0, NULL, &found) == 0 && found.gl_pathc > 0;
        if (is_found) {
            snprintf(ret_path, CLI_PATH_SIZE, "%s", found.gl_pathv[0]);
        }
        globfree(&found);
    }
    return is_found;
}

static bool
set_clock(const char *path, long offset_s)
{
    char fresh[CLI_PATH_SIZE + 16];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "we");
    bool written = file != NULL && fprintf(file, "%+ld\n", offset_s) > 0;
    return file != NULL && fclose(file) == 0 && written && rename(fresh, path) == 0;
}

// Seconds that the last line in the log is away from our time. 0 where there is none.
static long
log_offset(const cli_stress_instance_t *system)
{
    char tail[TAIL_SIZE + 1];
    int fd = open(cli_stress_instance_log(system), O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    off_t from = end > TAIL_SIZE ? end - TAIL_SIZE : 0;
    ssize_t size = fd < 0 ? 0 : pread(fd, tail, TAIL_SIZE, from);
    if (fd >= 0) {
        close(fd);
    }
    while (size > 0 && tail[size - 1] == '\n') {
        --size;
    }
    tail[size > 0 ? size : 0] = '\0';
    char *newline = strrchr(tail, '\n');
    const char *line = newline == NULL ? tail : newline + 1;
    uint64_t time_us = 0;
    if (rfc3339_parse(view_from(line, strcspn(line, " ")), &time_us) != BUS_OK) {
        return 0;
    }
    return (long) ((int64_t) (time_us - clock_wall_us()) / 1000000);
}

static void
step(cli_fault_t *fault,
     cli_fault_bus_t *bus,
     cli_stress_instance_t *system,
     const char *path,
     long offset_s)
{
    cli_fault_bus_mark(bus);
    cli_fault_inject(fault, "the wall clock is set to %+ld s", offset_s);
    cli_fault_expect(fault, set_clock(path, offset_s), "the clock can be set");
    bool flows = cli_fault_bus_acked(bus, STEP_EVENTS, WAIT_MS);
    cli_fault_load_t load = cli_fault_bus_load_now(bus);
    cli_fault_expect(fault, flows, "events are acknowledged at %+ld s", offset_s);
    cli_fault_expect_soon(fault, load.longest_ms, "the slowest ack at %+ld s", offset_s);
    int64_t off_s = (int64_t) (load.at_us - clock_wall_us()) / 1000000;
    cli_fault_expect(fault,
                     off_s > -NEAR_S && off_s < NEAR_S,
                     "the journal's time stays: %lld s off",
                     (long long) off_s);
    // A service that starts now: it works, and its log shows that the clock is really another.
    pid_t before = cli_fault_pid(system, "karma");
    double since_ms = cli_fault_now_ms();
    (void) kill(before, SIGKILL);
    pid_t after = cli_fault_pid_after(system, "karma", before, WAIT_MS);
    cli_fault_expect(fault, after != 0, "karma is started again at %+ld s", offset_s);
    cli_fault_expect_soon(fault,
                          cli_fault_bus_back(bus, "karma", since_ms, WAIT_MS),
                          "karma is back at %+ld s",
                          offset_s);
    fault->result->restarts++;
    long shown_s = log_offset(system) - offset_s;
    cli_fault_expect(fault,
                     shown_s > -NEAR_S && shown_s < NEAR_S,
                     "the parts see the clock that was set: %ld s off",
                     shown_s);
}

static void
run_steps(cli_fault_t *fault, cli_stress_instance_t *system, const char *path)
{
    static const long offsets[] = {HOUR_S, -HOUR_S, YEAR_S, -YEAR_S, 0};
    BUS_AUTO(cli_fault_bus_destroy)
    cli_fault_bus_t *bus = cli_fault_bus_open_system(fault, system);
    if (bus == NULL) {
        return;
    }
    cli_fault_bus_load(bus, CLI_FAULT_RATE);
    cli_fault_expect(fault, cli_fault_bus_acked(bus, WARM_EVENTS, WAIT_MS), "events flow");
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; ++i) {
        step(fault, bus, system, path, offsets[i]);
    }
    cli_fault_expect(
        fault, !cli_fault_bus_load_now(bus).is_at_back, "the journal's time never goes back");
    (void) cli_fault_bus_verify(bus, true);
}

void
cli_fault_skew_clock(cli_fault_t *fault)
{
    char library[CLI_PATH_SIZE];
    if (IS_SANITIZED) {
        cli_fault_skip(fault, "libfaketime cannot be loaded into a build with AddressSanitizer");
        return;
    }
    if (!find_library(library)) {
        cli_fault_skip(fault, "libfaketime is not installed (Debian: faketime)");
        return;
    }
    char path[CLI_PATH_SIZE + 16];
    char preload[CLI_PATH_SIZE + 32];
    char file[CLI_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/clock", fault->dir);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", library);
    snprintf(file, sizeof file, "FAKETIME_TIMESTAMP_FILE=%s", path);
    const char *const settings[] = {preload,
                                    file,
                                    "FAKETIME_NO_CACHE=1",
                                    "FAKETIME_DONT_FAKE_MONOTONIC=1",
                                    "DONT_FAKE_MONOTONIC=1",
                                    NULL};
    cli_fault_expect(fault, set_clock(path, 0), "the clock can be set");
    const cli_stress_instance_options_t options = {.only = "broker,bucket,karma",
                                                   .settings = settings};
    BUS_AUTO(cli_stress_instance_destroy)
    cli_stress_instance_t *system = cli_fault_system(fault, &options);
    if (system != NULL) {
        run_steps(fault, system, path);
    }
}
