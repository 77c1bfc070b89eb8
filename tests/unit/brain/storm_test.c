// storm_test.c - a remediation that itself causes drift stays bounded, whatever traces it goes by.
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static help_t *help;

static void
setup(void)
{
    help = help_new();
    help_configure(help, 60, 3);
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(storm, .init = setup, .fini = teardown);

static void
end_remediation(const char *issue_type)
{
    help_done(help, "remediate_drift", issue_type, "run_diagnostics", "{\"issue_resolved\":false}");
}

Test(storm, nothing_more_is_said_while_one_is_open)
{
    help->trace = "t";
    help_batch_begin(help);
    for (int i = 0; i < 1000; i++) {
        help->trace = i % 2 == 0 ? "t" : "u";
        help->at += SECOND;
        help_drill(help, "boot", "avg_boot_time", 900);
    }
    help_batch_end(help);
    cr_assert_eq(help_count(help, "brain.drift"), 1000, "each is told");
    cr_assert_eq(help_count(help, "layer3.intent.task"), 1, "one is acted on");
    cr_assert_neq(strstr(help_last_at(help, "brain.drift", "reason"),
                         "Nothing is done: an intent for this issue is still open"),
                  NULL);
}

Test(storm, on_one_trace_it_goes_depth_max_deep_and_no_deeper)
{
    // Each remediation ends, waits out every cooldown, and causes drift on its own trace.
    help->trace = "t";
    for (int i = 0; i < 50; i++) {
        help_drill(help, "boot", "avg_boot_time", 900);
        char depth[8];
        snprintf(depth, sizeof depth, "%d", i < 3 ? i : 3);
        cr_assert_str_eq(help_last_at(help, "brain.drift", "depth"), depth);
        end_remediation("boot_performance_degradation");
        help->at += 700 * SECOND;
    }
    cr_assert_eq(help_count(help, "layer3.intent.task"), 3);
    cr_assert_eq(help_count(help, "brain.drift"), 50);
    cr_assert_neq(strstr(help_last_at(help, "brain.drift", "reason"), "in a row as are allowed"),
                  NULL);
}

Test(storm, on_one_trace_several_issues_are_as_deep_together)
{
    const char *keys[] = {"avg_boot_time", "avg_trust_score", "avg_quality_score"};
    const char *issues[] = {
        "boot_performance_degradation", "trust_degradation", "quality_degradation"};
    const double bad[] = {900, 0.1, 0.1};
    help->trace = "t";
    for (int i = 0; i < 60; i++) { // each one's remediation breaks the next
        help_drill(help, "any", keys[i % 3], bad[i % 3]);
        end_remediation(issues[i % 3]);
        help->at += 700 * SECOND;
    }
    cr_assert_eq(help_count(help, "layer3.intent.task"), 3);
}

// A day of drills on fresh traces, one every `seconds`, each shown to be bad, each remediation over
// at once: how many there are.
static unsigned
day_of_drills(unsigned seconds)
{
    unsigned last = 0;
    help_batch_begin(help);
    for (unsigned s = 0; s < 24 * 3600; s += seconds) {
        help_trace(help, (int) s);
        help->at += seconds * SECOND;
        help_drill(help, "boot", "avg_boot_time", 900);
        unsigned now = help_count(help, "layer3.intent.task");
        if (now != last) {
            end_remediation("boot_performance_degradation");
            help_forget(help);
        }
        last = 0;
    }
    help_batch_end(help);
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    return (unsigned) atoi(strstr(help_at(help, "issues"), "\"acted\":") + 8);
}

Test(storm, on_fresh_traces_it_grows_rarer_until_one_an_hour)
{
    // 3 a minute apart, then 2, 4, 8, 16, 32 minutes, then every 64: 8 in the first 65 minutes, and
    // one for each of the 21 spells of 64 minutes that are left of the day.
    unsigned count = day_of_drills(60);
    cr_assert(count >= 26 && count <= 30, "%u", count);
}

Test(storm, with_a_metric_in_between_that_is_well_by_a_margin_it_begins_anew)
{
    for (int i = 0; i < 20; i++) {
        help_trace(help, (int) i);
        help->at += 61 * SECOND;
        help_drill(help, "boot", "avg_boot_time", 900);
        end_remediation("boot_performance_degradation");
        help_drill(help, "boot", "avg_boot_time", 250);
    }
    cr_assert_eq(help_count(help, "layer3.intent.task"), 20);
}

Test(storm, just_within_the_threshold_is_not_well)
{
    for (int i = 0; i < 20; i++) {
        help_trace(help, (int) i);
        help->at += 61 * SECOND;
        help_drill(help, "boot", "avg_boot_time", 900);
        end_remediation("boot_performance_degradation");
        help_drill(help, "boot", "avg_boot_time", 250.5);
    }
    unsigned count = help_count(help, "layer3.intent.task");
    cr_assert(count >= 5 && count <= 7, "%u", count);
}

Test(storm, the_last_ten_thousand_traces_are_remembered)
{
    help_configure(help, 0, 3);
    help_batch_begin(help);
    for (int i = 0; i < 10050; i++) {
        help_trace(help, (int) i);
        help->at += SECOND;
        help_drill(help, "boot", "avg_boot_time", 900);
        end_remediation("boot_performance_degradation");
        if (i % 100 == 0) {
            help_forget(help);
        }
    }
    help_batch_end(help);
    store_txn_t *txn = NULL;
    uint64_t traces = 0, order = 0, drifts = 0;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_count(txn, BRAIN_TRACES, &traces), BUS_OK);
    cr_assert_eq(store_count(txn, BRAIN_ORDER, &order), BUS_OK);
    cr_assert_eq(store_count(txn, BRAIN_DRIFTS, &drifts), BUS_OK);
    store_rollback(&txn);
    cr_assert_eq(traces, 10000);
    cr_assert_eq(order, 10000);
    cr_assert_eq(drifts, 1000);
    help->trace = "t-10049";
    help_drill(help, "boot", "avg_boot_time", 900);
    cr_assert_str_eq(help_last_at(help, "brain.drift", "depth"), "1");
    help->trace = "t-49";
    help_drill(help, "boot", "avg_boot_time", 900);
    cr_assert_str_eq(help_last_at(help, "brain.drift", "depth"), "0", "forgotten");
}
