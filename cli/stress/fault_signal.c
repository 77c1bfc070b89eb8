// fault_signal.c - scenario signals: what each of ten signals does to a service.
//
// The last of the expectations is the same for all: the system goes on, and loses nothing. Each
// goes to another service, because one that dies twice within a second has to wait for its start.
#include "fault_bus.h"

#include <signal.h>
#include <stdio.h>

enum {
    WAIT_MS = 10000,
    LIVES_MS = 300, // in which a process that a signal ends would have ended
    WARM_EVENTS = 200
};

typedef struct {
    const char *name;
    const char *part; // it goes to
    int number;
    bool survives; // the process goes on as if nothing had been
} signal_row_t;

static const signal_row_t signals[] = {
    {"HUP", "bucket", SIGHUP, true},      // nobody hangs up on a service
    {"PIPE", "bucket", SIGPIPE, true},    // a reader that has gone is an error, not an end
    {"INT", "karma", SIGINT, false},      // it stops in order
    {"TERM", "core", SIGTERM, false},     // the same
    {"QUIT", "workflow", SIGQUIT, false}, // the kernel ends it, and so for the rest
    {"USR1", "htm", SIGUSR1, false},
    {"USR2", "brain", SIGUSR2, false},
    {"ABRT", "kernel-memory", SIGABRT, false},    // as an assertion would
    {"SEGV", "kernel-librarian", SIGSEGV, false}, // as a bug would
    {"KILL", "kernel-governance", SIGKILL, false},
};

static void
strike(cli_fault_t *fault,
       cli_fault_bus_t *bus,
       cli_stress_instance_t *system,
       const signal_row_t *row)
{
    pid_t before = cli_fault_pid(system, row->part);
    double since_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "SIG%s to %s, process %d", row->name, row->part, (int) before);
    if (!cli_fault_expect(
            fault, before != 0 && kill(before, row->number) == 0, "%s is there", row->part)) {
        return;
    }
    if (row->survives) {
        bool is_gone = cli_fault_gone(before, LIVES_MS);
        cli_fault_expect(fault, !is_gone, "SIG%s does not end %s", row->name, row->part);
        bus_err_t err = cli_fault_bus_ask(bus, "req.bucket.health", NULL, 2000, NULL);
        cli_fault_expect(fault, err == BUS_OK, "it answers (%s)", error_text(err));
        return;
    }
    bool is_gone = cli_fault_gone(before, WAIT_MS);
    pid_t after = is_gone ? cli_fault_pid_after(system, row->part, before, WAIT_MS) : 0;
    if (!cli_fault_expect(fault,
                          after != 0,
                          "SIG%s %s %s",
                          row->name,
                          is_gone ? "is not followed by a new start of" : "does not end",
                          row->part)) {
        return;
    }
    fault->result->restarts++;
    double took_ms = cli_fault_bus_back(bus, row->part, since_ms, WAIT_MS);
    cli_fault_expect_soon(fault, took_ms, "after SIG%s %s is back", row->name, row->part);
}

static void
strike_each(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system)
{
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; ++i) {
        strike(fault, bus, system, &signals[i]);
    }
}

void
cli_fault_signals(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.without = "bridge"};
    cli_fault_bus_play(fault, &options, WARM_EVENTS, strike_each);
}
