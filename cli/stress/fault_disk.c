// fault_disk.c - scenario fill_disk: journal and stores on a file system that has no room left.
#include "fault_bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    DISK_BYTES = 24 << 20,
    PIECE = 4096, // a page at once, so that nothing is left in the end
    WAIT_MS = 10000,
    WARM_EVENTS = 200,
    FULL_MS = 500 // that it stays full after the first refusal
};

// Writes until nothing more fits. Returns the bytes, 0 where it could not begin.
static uint64_t
fill(const char *path)
{
    static const char piece[PIECE] = {0};
    uint64_t bytes = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (ssize_t written = 0; fd >= 0 && written >= 0;) {
        written = write(fd, piece, sizeof piece);
        bytes += written > 0 ? (uint64_t) written : 0;
    }
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    return why == ENOSPC ? bytes : 0;
}

static bool
is_refused(void *arg)
{
    return cli_fault_bus_load_now(arg).refused > 0;
}

static void
run_full(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system)
{
    char filler[CLI_PATH_SIZE + 16];
    snprintf(filler, sizeof filler, "%s/disk/filler", fault->dir);
    pid_t broker = cli_fault_pid(system, "broker");
    pid_t bucket = cli_fault_pid(system, "bucket");
    double since_ms = cli_fault_now_ms();
    uint64_t bytes = fill(filler);
    cli_fault_inject(fault, "%llu bytes written: nothing more fits", (unsigned long long) bytes);
    cli_fault_expect(fault, bytes > 0, "the file system can be filled");
    bool is_told = cli_fault_bus_until(bus, is_refused, bus, WAIT_MS);
    bus_err_t err = cli_fault_bus_load_now(bus).error;
    cli_fault_expect_soon(fault, cli_fault_now_ms() - since_ms, "who publishes is told");
    cli_fault_expect(
        fault, is_told && err == BUS_JOURNAL_FULL, "JOURNAL_FULL is said: %s", error_text(err));
    cli_fault_bus_run(bus, FULL_MS);
    err = cli_fault_bus_ask(bus, "req.bucket.health", NULL, 2000, NULL);
    cli_fault_expect(fault, err == BUS_OK, "Bucket answers meanwhile (%s)", error_text(err));
    err = cli_fault_bus_ask(bus, "$bus.stats", NULL, 2000, NULL);
    cli_fault_expect(fault, err == BUS_OK, "the broker answers meanwhile (%s)", error_text(err));
    double again_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "there is space again");
    cli_fault_expect(fault, unlink(filler) == 0, "the space can be freed");
    double flows_ms = cli_fault_bus_flows(bus, again_ms, WAIT_MS);
    cli_fault_expect_soon(fault, flows_ms, "events are acknowledged again");
    cli_fault_figure(fault, "flows_again_ms", flows_ms);
    cli_fault_expect(fault,
                     cli_fault_pid(system, "broker") == broker &&
                         cli_fault_pid(system, "bucket") == bucket && !cli_fault_gone(broker, 0) &&
                         !cli_fault_gone(bucket, 0),
                     "they are the same processes");
    cli_fault_expect(fault, cli_fault_bus_acked(bus, WARM_EVENTS, WAIT_MS), "events flow on");
}

void
cli_fault_fill_disk(cli_fault_t *fault)
{
    char disk[CLI_PATH_SIZE + 16];
    char dir[CLI_PATH_SIZE + 16];
    snprintf(disk, sizeof disk, "%s/disk", fault->dir);
    snprintf(dir, sizeof dir, "%s/disk/d", fault->dir);
    if (!cli_fault_space_disk(fault, disk, DISK_BYTES)) {
        return;
    }
    const cli_stress_instance_options_t options = {.only = "broker,bucket", .dir = dir};
    cli_fault_bus_play(fault, &options, WARM_EVENTS, run_full);
}
