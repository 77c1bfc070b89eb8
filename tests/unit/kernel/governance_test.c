// governance_test.c - the kernel governance: which intents may run, by which rule, and what is
// open.
#include "help.h"
#include "kernel/governance_store.h"
#include <criterion/criterion.h>
#include <stdio.h>

static help_t *help;

static void
setup(void)
{
    help = help_new(&kernel_governance_definition);
    help->source = "brain";
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(governance, .init = setup, .fini = teardown);

#define REMEDY(more) "{\"intent\":\"remediate_drift\",\"task_type\":\"run_diagnostics\"" more "}"
#define RESTART(more) "{\"intent\":\"remediate_drift\",\"task_type\":\"restart_peer\"" more "}"
#define SEED                                                                                       \
    "{\"intent\":\"remediate_drift\",\"issue_type\":\"boot_performance_degradation\",\"details\":" \
    "{\"metric\":\"boot_time_ms\",\"current\":900.5,\"baseline\":200,\"action\":"                  \
    "\"run_diagnostics\",\"depth\":0},\"priority\":\"high\",\"sla_seconds\":3600,"                 \
    "\"created_by\":\"agentic_brain_auto\",\"reasoning\":\"boot\",\"handler\":\"self_healing\"}"

// --- Each rule -----------------------------------------------------------------------------------

typedef struct {
    const char *rule;
    const char *source;
    const char *intent;
} row_t;

static const row_t rows[] = {
    {"allowed", "brain", SEED},
    {"allowed", "bhiv_cli", REMEDY("")},
    {"known_intent", "brain", "{\"intent\":\"make_coffee\"}"},
    {"may_ask", "bhiv_cli", SEED},
    {"may_ask", "bhiv_cli", "{\"intent\":\"proactive_stress_test\",\"handler\":\"stress_runner\"}"},
    {"allowed",
     "brain",
     "{\"intent\":\"proactive_stress_test\",\"handler\":\"stress_runner\",\"priority\":\"low\","
     "\"task_type\":\"run_stress_drill\",\"sla_seconds\":86400}"},
    {"priority_cap", "brain", REMEDY(",\"priority\":\"critical\"")},
    {"allowed", "brain", REMEDY(",\"priority\":\"high\"")},
    {"allowed", "brain", REMEDY(",\"priority\":\"urgent\"")}, // the queue takes it as normal
    {"priority_cap",
     "x",
     "{\"intent\":\"optimize_retrieval\",\"handler\":\"librarian\"}"}, // normal is above low
    {"sla_bounds", "brain", REMEDY(",\"sla_seconds\":0.5")},
    {"allowed", "brain", REMEDY(",\"sla_seconds\":1")},
    {"allowed", "brain", REMEDY(",\"sla_seconds\":86400")},
    {"sla_bounds", "brain", REMEDY(",\"sla_seconds\":86400.5")},
    {"sla_bounds", "brain", REMEDY(",\"sla_seconds\":-1")},
    {"handler_fits", "brain", REMEDY(",\"handler\":\"workflow\"")},
    {"handler_fits", "brain", REMEDY(",\"handler\":\"self\"")}, // a part of a word is none
    {"handler_fits", "x", "{\"intent\":\"index_new_documents\"}"},
    {"known_action", "brain", "{\"intent\":\"remediate_drift\"}"}, // its own name is no action
    {"known_action", "brain", "{\"intent\":\"remediate_drift\",\"task_type\":\"format_disk\"}"},
    {"restart_part", "brain", RESTART(",\"details\":{\"part\":\"broker\"}")},
    {"restart_part", "brain", RESTART(",\"context\":{\"peer\":\"broker\"}")},
    {"restart_part",
     "brain",
     RESTART(",\"context\":{\"part\":\"karma\"},\"details\":{\"target\":\"broker\"}")},
    {"restart_part", "brain", RESTART(",\"details\":{\"part\":\"supervisor\"}")},
    {"restart_part", "brain", RESTART(",\"details\":{\"part\":\"/bin/sh\"}")},
    {"restart_part",
     "brain",
     "{\"intent\":\"remediate_drift\",\"details\":{\"action\":\"restart_peer\",\"part\":\"broker\"}"
     "}"},
    {"allowed", "brain", RESTART(",\"details\":{\"part\":\"kernel-memory\"}")},
    {"allowed", "brain", RESTART("")},
    {"allowed", "brain", REMEDY(",\"details\":{\"depth\":3}")},
    {"depth_max", "brain", REMEDY(",\"details\":{\"depth\":4}")},
    {"depth_max", "brain", REMEDY(",\"details\":{\"depth\":-1}")},
    {"depth_max", "brain", REMEDY(",\"details\":{\"depth\":\"deep\"}")},
};

Test(governance, gives_each_verdict_the_name_of_the_rule_that_decided)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[40];
        char wanted[80];
        help->source = rows[i].source;
        cr_assert_eq(help_apply(help, "layer3.intent.task", rows[i].intent), BUS_OK);
        cr_assert_eq(help_ask(help, "verdicts", "{\"limit\":1}"), BUS_OK);
        snprintf(path, sizeof path, "\"rule\":\"%s\"", rows[i].rule);
        cr_assert_not_null(strstr(help_text(help->answer), path),
                           "%s: want %s, got %s",
                           rows[i].intent,
                           rows[i].rule,
                           help_text(help->answer));
        snprintf(wanted,
                 sizeof wanted,
                 "\"allowed\":%s,\"rule\":\"%s\"",
                 strcmp(rows[i].rule, "allowed") == 0 ? "true" : "false",
                 rows[i].rule);
        cr_assert_not_null(strstr(help_text(help->said), wanted));
        help_forget(help);
        char done[200]; // so that no cap is in the way of the next
        snprintf(done,
                 sizeof done,
                 "{\"task_id\":\"task_%zu\",\"task_type\":\"t\",\"handler\":\"h\",\"priority\":"
                 "\"low\",\"status\":\"dead\",\"attempts\":1,\"queued_us\":1,\"run_us\":1,"
                 "\"sla_seconds\":1,\"sla_met\":false}",
                 (size_t) help->seq);
        help->source = "htm";
        cr_assert_eq(help_apply(help, "task.done", done), BUS_OK);
    }
}

Test(governance, has_a_case_above_for_each_rule_that_one_intent_can_break)
{
    for (unsigned i = 0; i < KERNEL_GOVERNANCE_RULE_COUNT; i++) {
        bool is_tested =
            i == KERNEL_GOVERNANCE_RULE_open_max || i == KERNEL_GOVERNANCE_RULE_open_total;
        for (size_t j = 0; j < sizeof rows / sizeof rows[0] && !is_tested; j++) {
            is_tested = strcmp(rows[j].rule, kernel_governance_rules[i].name) == 0;
        }
        cr_assert(is_tested, "%s", kernel_governance_rules[i].name);
    }
}

Test(governance, says_its_verdict_with_the_intents_place_and_a_reason)
{
    cr_assert_eq(help_apply(help, "layer3.intent.task", SEED), BUS_OK);
    cr_assert_str_eq(help_text(help->said),
                     "governance.verdict {\"intent_seq\":1,\"intent\":\"remediate_drift\","
                     "\"allowed\":true,\"rule\":\"allowed\",\"reason\":\"no rule is broken: a "
                     "metric left its baseline: a playbook mends it\"}\n");
    help_forget(help);
    cr_assert_eq(
        help_apply(help, "layer3.intent.task", RESTART(",\"details\":{\"part\":\"broker\"}")),
        BUS_OK);
    cr_assert_str_eq(
        help_text(help->said),
        "governance.verdict {\"intent_seq\":2,\"intent\":\"remediate_drift\","
        "\"allowed\":false,\"rule\":\"restart_part\",\"reason\":\"restart_peer may not "
        "restart the broker: everything that is being said would wait for it: bhiv up "
        "alone restarts the broker, when it ends\"}\n");
}

// --- What is open --------------------------------------------------------------------------------

static bool
ask_for(const char *intent)
{
    help_forget(help);
    cr_assert_eq(help_apply(help, "layer3.intent.task", intent), BUS_OK);
    return strstr(help_text(help->said), "\"allowed\":true") != NULL;
}

static void
finish(const char *task_id)
{
    char done[200];
    snprintf(done,
             sizeof done,
             "{\"task_id\":\"%s\",\"task_type\":\"t\",\"handler\":\"h\",\"priority\":\"low\","
             "\"status\":\"completed\",\"attempts\":1,\"queued_us\":1,\"run_us\":1,\"sla_seconds\":"
             "1,\"sla_met\":true}",
             task_id);
    cr_assert_eq(help_apply(help, "task.done", done), BUS_UNAUTHORIZED_ACCESS, "HTM alone says so");
    help->source = "htm";
    cr_assert_eq(help_apply(help, "task.done", done), BUS_OK);
    help->source = "brain";
}

#define DRILL                                                                                      \
    "{\"intent\":\"proactive_stress_test\",\"handler\":\"stress_runner\",\"priority\":\"low\","    \
    "\"task_type\":\"run_stress_drill\"}"

Test(governance, lets_no_more_run_at_once_than_the_intent_allows)
{
    cr_assert(ask_for(DRILL));
    cr_assert(ask_for(DRILL));
    cr_assert(!ask_for(DRILL));
    cr_assert_not_null(strstr(help_text(help->said), "\"rule\":\"open_max\""));
    cr_assert(ask_for(REMEDY("")), "another kind is not in its way");
    finish("task_1x");
    finish("other");
    finish("task_");
    finish("task_99999999999999999999999999");
    finish("task_4"); // the remedy's
    cr_assert(!ask_for(DRILL), "none of these was one of its kind");
    finish("task_2");
    finish("task_2"); // said again: one is over, not two
    cr_assert(ask_for(DRILL));
    cr_assert(!ask_for(DRILL));
}

Test(governance, does_not_count_what_it_denied_as_open)
{
    for (unsigned i = 0; i < 5; i++) {
        cr_assert(!ask_for("{\"intent\":\"make_coffee\"}"));
    }
    cr_assert_eq(help_count(help, KERNEL_GOVERNANCE_OPEN), 0);
    cr_assert_eq(help_ask(help, "rules", "{}"), BUS_OK);
    cr_assert_not_null(strstr(help_text(help->answer),
                              "{\"rule\":\"known_intent\",\"meaning\":\"the intent is one "
                              "of the table's\",\"decided\":5}"));
}

Test(governance, goes_on_where_a_row_of_its_is_damaged)
{
    cr_assert(ask_for(DRILL));
    help_damage(help, KERNEL_GOVERNANCE_COUNTS, VIEW_LITERAL("oproactive_stress_test"));
    help_damage(help, KERNEL_GOVERNANCE_OPEN, STORE_U64(1));
    help_damage(help, KERNEL_GOVERNANCE_VERDICTS, STORE_U64(1));
    cr_assert(ask_for(DRILL));
    finish("task_1");
    finish("task_2");
    cr_assert_eq(help_count(help, KERNEL_GOVERNANCE_OPEN), 0);
    cr_assert_eq(help_ask(help, "verdicts", "{}"), BUS_OK);
    cr_assert_not_null(strstr(help_text(help->answer), "\"intent_seq\":2"));
    cr_assert_null(strstr(help_text(help->answer), "\"intent_seq\":1,"));
}

// --- The gate and the lists ----------------------------------------------------------------------

Test(governance, closes_the_gate_once_and_leaves_it_to_people_then)
{
    help_tick(help);
    cr_assert_str_eq(help_text(help->said),
                     "governance.gate {\"on\":true,\"reason\":\"the kernel governance judges "
                     "intents from here on\"}\n");
    cr_assert_eq(help_apply(help, "governance.gate", "{\"on\":true}"), BUS_OK);
    help_forget(help);
    help_tick(help);
    cr_assert_str_eq(help_text(help->said), "");
    cr_assert_eq(help_apply(help, "governance.gate", "{\"on\":false,\"reason\":\"a person\"}"),
                 BUS_OK);
    help_tick(help);
    cr_assert_str_eq(help_text(help->said), "");
    cr_assert_eq(help_ask(help, "rules", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "gate"), "{\"on\":false,\"reason\":\"a person\"}");
}

Test(governance, lists_verdicts_the_latest_first_and_by_what_is_asked_for)
{
    help->trace_id = "t-1";
    cr_assert(ask_for(SEED));
    cr_assert(!ask_for("{\"intent\":\"make_coffee\"}"));
    cr_assert(ask_for(REMEDY("")));
    cr_assert_eq(help_ask(help, "verdicts", "{\"intent\":\"remediate_drift\"}"), BUS_OK);
    const char *first = strstr(help_text(help->answer), "\"intent_seq\":3");
    const char *last = strstr(help_text(help->answer), "\"intent_seq\":1");
    cr_assert(first != NULL && last != NULL && first < last);
    cr_assert_null(strstr(help_text(help->answer), "make_coffee"));
    cr_assert_eq(help_ask(help, "verdicts", "{\"allowed\":false}"), BUS_OK);
    cr_assert_str_eq(
        help_at(help, "verdicts"),
        "[{\"intent_seq\":2,\"intent\":\"make_coffee\",\"allowed\":false,\"rule\":"
        "\"known_intent\",\"reason\":\"governance knows no intent make_coffee\","
        "\"source\":\"brain\",\"task_type\":\"make_coffee\",\"trace_id\":\"t-1\",\"at\":"
        "\"2026-01-01T00:00:00.000000Z\"}]");
}

Test(governance, judges_the_same_the_same_way_and_counts_what_is_open_in_all)
{
    const schema_intent_task_t intent = {.intent = VIEW_LITERAL("recall"),
                                         .handler = VIEW_LITERAL("memory")};
    kernel_governance_ask_t ask = {.source = VIEW_LITERAL("x"), .intent = &intent};
    kernel_governance_verdict_t verdict;
    kernel_governance_rules_decide(&ask, &verdict);
    cr_assert_eq(verdict.rule, KERNEL_GOVERNANCE_RULE_allowed);
    ask.open_total = KERNEL_GOVERNANCE_OPEN_MAX - 1;
    kernel_governance_rules_decide(&ask, &verdict);
    cr_assert_eq(verdict.rule, KERNEL_GOVERNANCE_RULE_allowed);
    ask.open_total = KERNEL_GOVERNANCE_OPEN_MAX;
    kernel_governance_rules_decide(&ask, &verdict);
    cr_assert_eq(verdict.rule, KERNEL_GOVERNANCE_RULE_open_total);
}
