// heal_drill.c - run_stress_drill: a drill of the suite that was asked for, or of the one whose
// last drill is the longest ago.
//
// The task is to run it, not to pass it: what it measured goes to the brain as
// stress.<suite>.completed, and the result says whether it kept within the gates.
#include "heal_run.h"
#include "watch.h"

#include "proto/schema.h"

#include <stdio.h>
#include <string.h>

static const kernel_heal_order_t orders[] = {
    {"boot", "--cycles", "2", "--no-failures"}, // what is broken on purpose is for the nights
    {"ingestion", "--docs", "5", NULL},
    {"htm", "--tasks", "50", NULL},
};
enum { ORDER_COUNT = sizeof orders / sizeof orders[0] };

static void
on_drilled(kernel_heal_run_t *run, int status, bus_view_t drill)
{
    static const char *const scores[][2] = {
        {"quality_score", "avg_quality_score"},
        {"trust_score", "avg_trust_score"},
        {"avg_boot_time", "avg_boot_time"},
        {"sla_compliance_rate", "sla_compliance_rate"},
    };
    bus_view_t summary, value;
    bool passed = false;
    if (drill.data == NULL || walk_find(drill, "summary", &summary) != BUS_OK ||
        walk_find(drill, "passed", &value) != BUS_OK || walk_as_bool(value, &passed) != BUS_OK) {
        char error[KERNEL_HEAL_NOTE_SIZE];
        snprintf(error, sizeof error, "the drill gave no result (status %d)", status);
        kernel_heal_run_fail(run, error, true);
        return;
    }
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; ++i) {
        double score = 0;
        if (walk_find(summary, scores[i][1], &value) == BUS_OK &&
            walk_as_real(value, &score) == BUS_OK) {
            kernel_heal_run_real(run, scores[i][0], score);
        }
    }
    pack_pair_bool(run->extra, "passed", passed);
    pack_pair_str(run->extra, "test_id", walk_text_at(drill, "test_id"));
    run->extra_count += 2;
    kernel_heal_run_finding(run,
                            passed ? "the drill kept within its gates"
                                   : "the drill did not keep within its gates");
    kernel_heal_run_end(run, KERNEL_HEAL_UNKNOWN);
}

// When the suite's last drill was; 0: never.
static uint64_t
last_drill(store_txn_t *txn, const char *suite)
{
    bus_view_t kept;
    if (store_get(txn, KERNEL_HEAL_KEPT, view_from_text(suite), &kept) != BUS_OK) {
        return 0;
    }
    return walk_uint_at(kept, "seq", 0);
}

static const kernel_heal_order_t *
choose(const kernel_heal_run_t *run)
{
    bus_view_t asked = kernel_heal_run_text(run, "suite");
    const kernel_heal_order_t *chosen = NULL;
    for (size_t i = 0; i < ORDER_COUNT && asked.size > 0; ++i) {
        chosen = view_is(asked, orders[i].suite) ? &orders[i] : chosen;
    }
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    if (asked.size > 0 || service_begin_read(run->heal->service, &txn) != BUS_OK) {
        return chosen;
    }
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < ORDER_COUNT; ++i) {
        uint64_t seq = last_drill(txn, orders[i].suite);
        if (seq < oldest) {
            oldest = seq;
            chosen = &orders[i];
        }
    }
    return chosen;
}

void
kernel_heal_drill(kernel_heal_run_t *run)
{
    const kernel_heal_order_t *order = choose(run);
    if (order == NULL) {
        kernel_heal_run_fail(run, "there are drills boot, ingestion and htm", false);
        return;
    }
    kernel_heal_run_action(run, "ran the %s drill", order->suite);
    kernel_heal_run_drill(run, order, on_drilled);
}
