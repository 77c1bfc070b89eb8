// heal_schedule.c - the playbook optimize_htm_scheduling: sets HTM's order by what its queue shows.
//
// Tasks miss their SLA either because urgent ones wait behind slots that are taken, which a reserve
// for them mends, or because they grow urgent too late, which an earlier escalation mends. Both
// figures follow from the queue as HTM tells it; the issue is gone where no task misses its SLA in
// the look that follows.
#include "heal_run.h"
#include "watch.h"

#include <assert.h>
#include <stdlib.h>

enum {
    ASK_MS = 2000,
    LOOK_MS = 1000,         // after the change
    RESERVE_MAX = 50,       // task.order's
    RESERVE_LEAST = 10,     // percent: where urgent tasks wait at all
    ESCALATE_USUAL = 50,    // percent of the SLA left: HTM's own
    ESCALATE_STRAINED = 70, // where tasks wait, or missed theirs
};

typedef struct {
    uint64_t breaches; // before the change
} schedule_t;

static void
on_after(kernel_heal_run_t *run, bus_err_t err, bus_view_t body)
{
    const schedule_t *own = run->own;
    if (err != BUS_OK) {
        kernel_heal_run_finding(run, "HTM does not answer: %s", error_text(err));
        kernel_heal_run_end(run, KERNEL_HEAL_UNKNOWN);
        return;
    }
    uint64_t breaches = walk_uint_at(body, "statistics.sla_breaches", 0);
    uint64_t more = breaches > own->breaches ? breaches - own->breaches : 0;
    kernel_heal_run_finding(
        run, "%llu tasks missed their SLA since the change", (unsigned long long) more);
    kernel_heal_run_end(run, more == 0 ? KERNEL_HEAL_RESOLVED : KERNEL_HEAL_UNRESOLVED);
}

static void
look_after(kernel_heal_run_t *run)
{
    kernel_heal_run_ask(run, "req.htm.status", VIEW_NONE, ASK_MS, on_after);
}

static void
on_ordered(kernel_heal_run_t *run, bus_err_t err, bus_view_t body BUS_UNUSED)
{
    if (err != BUS_OK) {
        kernel_heal_run_fail(run, error_meaning(err), error_retry(err));
        return;
    }
    kernel_heal_run_wait(run, LOOK_MS, look_after);
}

static void
on_status(kernel_heal_run_t *run, bus_err_t err, bus_view_t body)
{
    schedule_t *own = run->own;
    if (err != BUS_OK) {
        kernel_heal_run_fail(run, "HTM does not answer", true);
        return;
    }
    uint64_t urgent =
        walk_uint_at(body, "queue_sizes.critical", 0) + walk_uint_at(body, "queue_sizes.high", 0);
    uint64_t other =
        walk_uint_at(body, "queue_sizes.normal", 0) + walk_uint_at(body, "queue_sizes.low", 0);
    own->breaches = walk_uint_at(body, "statistics.sla_breaches", 0);
    uint64_t total = urgent + other;
    uint64_t share = total == 0 ? 0 : urgent * 100 / total;
    uint64_t reserve = urgent == 0             ? 0
                       : share > RESERVE_MAX   ? RESERVE_MAX
                       : share < RESERVE_LEAST ? RESERVE_LEAST
                                               : share;
    uint64_t escalate = own->breaches > 0 || total > 0 ? ESCALATE_STRAINED : ESCALATE_USUAL;
    kernel_heal_run_finding(run,
                            "%llu urgent and %llu other tasks wait, %llu missed their SLA so far",
                            (unsigned long long) urgent,
                            (unsigned long long) other,
                            (unsigned long long) own->breaches);
    kernel_heal_run_action(run,
                           "task.order: %llu %% of the slots for urgent tasks, escalation below "
                           "%llu %% of the SLA",
                           (unsigned long long) reserve,
                           (unsigned long long) escalate);
    pack_clear(run->body);
    pack_map(run->body, 3);
    pack_pair_uint(run->body, "reserve", reserve);
    pack_pair_uint(run->body, "escalate_percent", escalate);
    pack_pair_text(run->body, "reason", "optimize_htm_scheduling");
    kernel_heal_run_say(run, "task.order", pack_view(run->body), on_ordered);
}

void
kernel_heal_schedule(kernel_heal_run_t *run)
{
    run->own = calloc(1, sizeof(schedule_t));
    assert(run->own);
    kernel_heal_run_ask(run, "req.htm.status", VIEW_NONE, ASK_MS, on_status);
}
