// learn_test.c - what a finished task teaches, and what else it calls for.
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>

static help_t *help;

static void
setup(void)
{
    help = help_new();
    help->trace = "t-1";
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(learn, .init = setup, .fini = teardown);

static void
done(const char *handler,
     const char *task_type,
     const char *status,
     bool sla_met,
     const char *result)
{
    cr_assert_eq(
        help_apply_format(help,
                          "task.done",
                          "{\"task_id\":\"task_1\",\"task_type\":\"%s\",\"handler\":\"%s\","
                          "\"priority\":\"high\",\"status\":\"%s\",\"attempts\":1,\"queued_us\":10,"
                          "\"run_us\":60000000,\"sla_seconds\":3600,\"sla_met\":%s,\"result\":%s}",
                          task_type,
                          handler,
                          status,
                          sla_met ? "true" : "false",
                          result),
        BUS_OK);
}

Test(learn, says_what_a_task_taught)
{
    done("memory", "recall", "completed", true, "{\"quality_score\":0.9}");
    // .5 + .27 + .2 / 2
    cr_assert_str_eq(help_last(help, "brain.learned"),
                     "{\"key\":\"memory_recall\",\"task_id\":\"task_1\",\"success\":true,"
                     "\"score\":0.87,\"before\":0.5,\"samples\":1,\"advice\":\"keep\"}");
    cr_assert_str_eq(help_last_trace(help, "brain.learned"), "t-1");
    done("memory", "recall", "dead", true, "{}");
    // .25 + .3 * (.9 + .5) / 2 + .1
    cr_assert_str_eq(help_last_at(help, "brain.learned", "before"), "0.87");
    cr_assert_str_eq(help_last_at(help, "brain.learned", "score"), "0.5599999999999999");
    cr_assert_str_eq(help_last_at(help, "brain.learned", "success"), "false");
    cr_assert_str_eq(help_last_at(help, "brain.learned", "samples"), "2");
}

Test(learn, a_cancelled_task_teaches_nothing_and_ends_its_issue)
{
    help_drill(help, "boot", "avg_boot_time", 400);
    cr_assert_eq(help_apply(help,
                            "task.done",
                            "{\"task_id\":\"task_2\",\"task_type\":\"run_diagnostics\","
                            "\"handler\":\"self_healing\",\"priority\":\"high\","
                            "\"status\":\"cancelled\",\"reason\":\"denied\",\"attempts\":0,"
                            "\"queued_us\":0,\"run_us\":0,\"sla_seconds\":3600,\"sla_met\":false,"
                            "\"intent\":\"remediate_drift\","
                            "\"issue_type\":\"boot_performance_degradation\"}"),
                 BUS_OK);
    cr_assert_eq(help_count(help, "brain.learned"), 0);
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "open"), "[]");
    cr_assert_str_eq(help_at(help, "sla.tasks"), "0");
}

Test(learn, anothers_task_does_not_end_what_is_open)
{
    help_drill(help, "boot", "avg_boot_time", 400);
    help->trace = "somebody-else";
    help_done(help, "remediate_drift", "boot_performance_degradation", "run_diagnostics", "{}");
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert_str_neq(help_at(help, "open"), "[]");
    help->trace = "t-1";
    help_done(help, "remediate_drift", "boot_performance_degradation", "run_diagnostics", "{}");
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "open"), "[]");
}

Test(learn, scores_are_listed_and_the_good_recommended)
{
    done("memory", "recall", "completed", true, "{\"quality_score\":1}");
    done("hunter", "run_diagnostics", "dead", true, "{}");
    cr_assert_eq(help_ask(help, "scores", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "recommendations"), "[\"memory_recall\"]");
    cr_assert_neq(strstr(help_at(help, "scores"),
                         "{\"key\":\"hunter_run_diagnostics\",\"score\":0.25,"
                         "\"samples\":1,"),
                  NULL);
    cr_assert_str_eq(help_at(help, "outcomes"), "[]");
}

Test(learn, new_names_beyond_the_limit_are_left_out_and_known_ones_go_on)
{
    help_batch_begin(help);
    for (int i = 0; i < 10000; i++) {
        char type[16];
        snprintf(type, sizeof type, "x%d", i);
        done("h", type, "completed", true, "{}");
        if (i % 500 == 0) {
            help_forget(help);
        }
    }
    help_batch_end(help);
    help_forget(help);
    done("h", "one_more", "completed", true, "{}");
    cr_assert_eq(help_count(help, "brain.learned"), 0);
    done("h", "x7", "completed", true, "{}");
    cr_assert_str_eq(help_last_at(help, "brain.learned", "samples"), "2");
}

// --- The queue's SLA -----------------------------------------------------------------------------

Test(learn, the_queues_sla_is_drift_below_nine_tenths_of_at_least_twenty)
{
    help_configure(help, 60, 3);
    for (int i = 0; i < 19; i++) {
        done("h", "t", "completed", false, "{}");
    }
    cr_assert_eq(help_count(help, "brain.drift"), 0, "too few to say");
    done("h", "t", "completed", false, "{}");
    cr_assert_eq(help_count(help, "brain.drift"), 1);
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "task_type"),
                     "\"optimize_htm_scheduling\"");
    for (int i = 0; i < 1000; i++) {
        done("h", "t", "completed", false, "{}");
    }
    cr_assert_eq(help_count(help, "brain.drift"), 1, "once a cooldown");
    help->at += 60 * SECOND;
    done("h", "t", "completed", false, "{}");
    cr_assert_eq(help_count(help, "brain.drift"), 2);
}

Test(learn, the_queues_sla_is_of_the_last_hundred_tasks)
{
    help_configure(help, 0, 3);
    for (int i = 0; i < 10; i++) {
        done("h", "t", "completed", false, "{}");
    }
    for (int i = 0; i < 90; i++) {
        done("h", "t", "completed", true, "{}");
    }
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "sla"), "{\"tasks\":100,\"compliance\":0.9}");
    help_forget(help);
    done("h", "t", "completed", true, "{}"); // one of the bad ones leaves
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "sla.compliance"), "0.91");
    cr_assert_eq(help_count(help, "brain.drift"), 0);
}

// --- Documents -----------------------------------------------------------------------------------

Test(learn, documents_of_low_quality_are_to_be_reprocessed_once_a_cooldown)
{
    done("librarian", "ingest_document", "completed", true, "{\"quality_score\":0.7}");
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0);
    done("librarian", "ingest_document", "completed", true, "{\"quality_score\":0.69}");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "intent"),
                     "\"reprocess_low_quality\"");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "priority"), "\"low\"");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "handler"), "\"librarian\"");
    done("librarian", "ingest_document", "completed", true, "{\"quality_score\":0.1}");
    cr_assert_eq(help_count(help, "layer3.intent.task"), 1, "one is open");
}

Test(learn, three_distrusted_documents_call_for_an_audit)
{
    for (int i = 0; i < 2; i++) {
        done("librarian", "ingest_document", "completed", true, "{\"trust_score\":0.6}");
    }
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0);
    done("librarian", "ingest_document", "completed", true, "{\"trust_score\":0.6}");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "intent"),
                     "\"audit_external_feeds\"");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "priority"), "\"normal\"");
}

Test(learn, ten_new_documents_call_for_indexing)
{
    for (int i = 0; i < 9; i++) {
        done("librarian", "ingest_document", "completed", true, "{}");
        done("librarian", "ingest_document", "dead", true, "{}");
        done("memory", "ingest_document", "completed", true, "{}");
    }
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0);
    done("librarian", "ingest_document", "completed", true, "{}");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "intent"), "\"index_new_documents\"");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "priority"), "\"normal\"");
}

Test(learn, new_documents_are_indexed_again_and_again_and_no_rarer)
{
    help_configure(help, 1, 3);
    for (int i = 0; i < 20; i++) {
        help_trace(help, i);
        for (int j = 0; j < 10; j++) {
            done("librarian", "ingest_document", "completed", true, "{}");
        }
        cr_assert_eq(help_count(help, "layer3.intent.task"), (unsigned) i + 1);
        help_done(help, "index_new_documents", NULL, "index_new_documents", "{}");
        help->at += SECOND;
    }
}
