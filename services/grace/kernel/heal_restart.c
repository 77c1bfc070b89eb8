// heal_restart.c - the playbook restart_peer: has the supervisor stop a part and start it again.
//
// Done once a task: what a crash of ours interrupted is looked at, not repeated. The issue is gone
// when the part answers and says that it is healthy.
#include "heal_run.h"
#include "runtime/clock.h"
#include "watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RESTART_MS = 20000,   // above the supervisor's own patience
    SUPERVISOR_MS = 3000, // for one that joins the bus only now, after a start or a broker's end
    ASK_MS = 1000,
    HEALTHY_MS = 10000, // for the part to be healthy after it was ready
    AGAIN_MS = 100,
    NAME_SIZE = 65 // of a part, with its NUL
};

typedef struct {
    char part[NAME_SIZE];
    uint64_t until_ms; // boot clock: of the patience in hand
    bool is_restarted; // by this run
} restart_t;

static void ask_health(kernel_heal_run_t *run);

static void
on_health(kernel_heal_run_t *run, bus_err_t err, bus_view_t body)
{
    restart_t *own = run->own;
    bus_view_t status = walk_text_at(body, "status");
    if (err == BUS_OK && view_is(status, "healthy")) {
        kernel_heal_run_finding(run, "%s answers and is healthy", own->part);
        kernel_heal_run_end(run, KERNEL_HEAL_RESOLVED);
        return;
    }
    if (clock_boot_ms() < own->until_ms) {
        kernel_heal_run_wait(run, AGAIN_MS, ask_health);
        return;
    }
    if (err != BUS_OK) {
        kernel_heal_run_finding(run, "%s does not answer: %s", own->part, error_text(err));
    } else {
        kernel_heal_run_finding(run, "%s is still %.*s", own->part, (int) status.size, status.data);
    }
    kernel_heal_run_end(run, KERNEL_HEAL_UNRESOLVED);
}

static void
ask_health(kernel_heal_run_t *run)
{
    const restart_t *own = run->own;
    char topic[NAME_SIZE + 16];
    snprintf(topic, sizeof topic, "req.%s.health", own->part);
    kernel_heal_run_ask(run, topic, VIEW_NONE, ASK_MS, on_health);
}

static void
begin_health(kernel_heal_run_t *run)
{
    restart_t *own = run->own;
    own->until_ms = clock_boot_ms() + HEALTHY_MS;
    if (strcmp(own->part, "bridge") == 0) { // it is no service of the bus; its ready is all it says
        kernel_heal_run_end(run, own->is_restarted ? KERNEL_HEAL_RESOLVED : KERNEL_HEAL_UNKNOWN);
        return;
    }
    ask_health(run);
}

static void ask_supervisor(kernel_heal_run_t *run);

static void
on_restarted(kernel_heal_run_t *run, bus_err_t err, bus_view_t body)
{
    restart_t *own = run->own;
    if (err == BUS_NO_RESPONDERS && clock_boot_ms() < own->until_ms) {
        kernel_heal_run_wait(run, AGAIN_MS, ask_supervisor);
        return;
    }
    if (err == BUS_NO_RESPONDERS) {
        kernel_heal_run_finding(run,
                                "no supervisor is on this bus (containers are restarted by their "
                                "engine): %s was not restarted",
                                own->part);
        kernel_heal_run_end(run, KERNEL_HEAL_UNRESOLVED);
        return;
    }
    if (err != BUS_OK) {
        bus_view_t message = walk_text_at(body, "message");
        kernel_heal_run_finding(run,
                                "the supervisor did not restart %s: %s %.*s",
                                own->part,
                                error_text(err),
                                (int) message.size,
                                message.size == 0 ? "" : message.data);
        kernel_heal_run_end(run, KERNEL_HEAL_UNRESOLVED);
        return;
    }
    own->is_restarted = true;
    kernel_heal_run_action(run,
                           "restarted %s: process %llu became %llu, ready after %llu ms",
                           own->part,
                           (unsigned long long) walk_uint_at(body, "pid_before", 0),
                           (unsigned long long) walk_uint_at(body, "pid", 0),
                           (unsigned long long) walk_uint_at(body, "boot_ms", 0));
    begin_health(run);
}

static void
ask_supervisor(kernel_heal_run_t *run)
{
    const restart_t *own = run->own;
    bus_view_t reason = kernel_heal_run_text(run, "reason");
    pack_clear(run->body);
    pack_map(run->body, 2);
    pack_pair_text(run->body, "part", own->part);
    if (reason.size > 0 && reason.size <= 256) {
        pack_pair_str(run->body, "reason", reason);
    } else {
        pack_pair_text(run->body, "reason", "restart_peer");
    }
    kernel_heal_run_ask(
        run, "req.supervisor.restart", pack_view(run->body), RESTART_MS, on_restarted);
}

static void
restart(kernel_heal_run_t *run)
{
    restart_t *own = run->own;
    own->until_ms = clock_boot_ms() + SUPERVISOR_MS;
    ask_supervisor(run);
}

static void
look_only(kernel_heal_run_t *run)
{
    kernel_heal_run_finding(run,
                            "an earlier process began this restart and ended before it knew what "
                            "came of it: it is not repeated");
    begin_health(run);
}

void
kernel_heal_restart(kernel_heal_run_t *run)
{
    bus_view_t part = kernel_heal_run_text(run, "part");
    part = part.size > 0 ? part : kernel_heal_run_text(run, "peer");
    if (part.size == 0 || part.size >= NAME_SIZE) {
        kernel_heal_run_fail(run, "restart_peer needs `part` in its context", false);
        return;
    }
    if (view_is(part, "broker") || view_is(part, "kernel-self_healing")) {
        kernel_heal_run_fail(
            run, "restart_peer restarts neither the broker nor the process that it runs in", false);
        return;
    }
    restart_t *own = calloc(1, sizeof *own);
    assert(own);
    run->own = own;
    snprintf(own->part, sizeof own->part, "%.*s", (int) part.size, part.data);
    kernel_heal_run_act_once(run, view_from_text(own->part), restart, look_only);
}
