// self_healing_test.c - what the kernel self_healing keeps of the journal.
#include "help.h"
#include "kernel/heal.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>

static help_t *help;

static void
setup(void)
{
    help = help_new(&kernel_self_healing_definition);
    help->source = "kernel-self_healing";
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(self_healing, .init = setup, .fini = teardown);

static void
start(const char *task_id, const char *boot)
{
    char json[300];
    snprintf(
        json,
        sizeof json,
        "{\"task_id\":\"%s\",\"playbook\":\"restart_peer\",\"boot\":\"%s\",\"part\":\"karma\"}",
        task_id,
        boot);
    cr_assert_eq(help_apply(help, "healing.started", json), BUS_OK);
}

static const char *
boot_of(const char *task_id)
{
    static char boot[100];
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_view_t kept, value, text;
    boot[0] = '\0';
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    if (store_get(txn, KERNEL_HEAL_STARTED, view_from_text(task_id), &kept) == BUS_OK &&
        walk_find(kept, "boot", &value) == BUS_OK && walk_as_str(value, &text) == BUS_OK) {
        snprintf(boot, sizeof boot, "%.*s", (int) text.size, text.data);
    }
    return boot;
}

Test(self_healing, the_first_process_that_begins_is_the_only_one)
{
    start("t1", "boot-1");
    start("t1", "boot-2");
    start("t2", "boot-2");
    cr_assert_str_eq(boot_of("t1"), "boot-1");
    cr_assert_str_eq(boot_of("t2"), "boot-2");
    cr_assert_eq(help_count(help, KERNEL_HEAL_ORDER), 2);
}

Test(self_healing, forgets_the_oldest_of_what_was_begun_and_no_other)
{
    char name[32];
    for (int i = 0; i < KERNEL_HEAL_STARTED_MAX + 10; i++) {
        snprintf(name, sizeof name, "t%d", i);
        start(name, "boot-1");
    }
    cr_assert_eq(help_count(help, KERNEL_HEAL_STARTED), KERNEL_HEAL_STARTED_MAX);
    cr_assert_eq(help_count(help, KERNEL_HEAL_ORDER), KERNEL_HEAL_STARTED_MAX);
    cr_assert_str_eq(boot_of("t9"), "");
    cr_assert_str_eq(boot_of("t10"), "boot-1");
    snprintf(name, sizeof name, "t%d", KERNEL_HEAL_STARTED_MAX + 9);
    cr_assert_str_eq(boot_of(name), "boot-1");
}

Test(self_healing, goes_on_where_the_oldest_is_damaged)
{
    char name[32];
    for (int i = 0; i < KERNEL_HEAL_STARTED_MAX; i++) {
        snprintf(name, sizeof name, "t%d", i);
        start(name, "boot-1");
    }
    help_damage(help, KERNEL_HEAL_ORDER, STORE_U64(1));
    start("new", "boot-1");
    start("newer", "boot-1");
    cr_assert_str_eq(boot_of("new"), "boot-1");
    cr_assert_str_eq(boot_of("t1"), "", "the next one went");
    cr_assert_eq(help_count(help, KERNEL_HEAL_ORDER), KERNEL_HEAL_STARTED_MAX);
    help_damage(help, KERNEL_HEAL_STARTED, VIEW_LITERAL("new"));
    start("new", "boot-2"); // somebody was first, whoever it was
    cr_assert_str_eq(boot_of("new"), "");
}

static void
drill(const char *suite, const char *test_id, const char *more)
{
    char topic[64];
    char json[600];
    snprintf(topic, sizeof topic, "stress.%s.completed", suite);
    snprintf(json,
             sizeof json,
             "{\"test_id\":\"%s\",\"suite\":\"%s\",\"passed\":true,%s,\"started_at\":"
             "\"2026-01-01T00:00:00Z\",\"completed_at\":\"2026-01-01T00:00:01Z\"}",
             test_id,
             suite,
             more);
    cr_assert_eq(help_apply(help, topic, json), BUS_OK);
}

Test(self_healing, reports_the_latest_drill_of_each_suite_and_of_no_other)
{
    drill("boot",
          "boot_1",
          "\"summary\":{\"avg_boot_time\":90.5},\"conf_sha256\":"
          "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"");
    drill("htm", "htm_1", "\"summary\":{}");
    drill("boot", "boot_2", "\"summary\":{\"avg_boot_time\":120}");
    drill("nonsense", "n_1", "\"summary\":{}");
    cr_assert_eq(help_count(help, KERNEL_HEAL_KEPT), 2);
    cr_assert_eq(help_ask(help, "report", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "drills.boot.test_id"), "\"boot_2\"");
    cr_assert_str_eq(help_at(help, "drills.boot.seq"), "3");
    cr_assert_str_eq(help_at(help, "drills.boot.avg_boot_time"), "120.0");
    cr_assert_str_eq(help_at(help, "drills.boot.conf_sha256"), "");
    cr_assert_str_eq(help_at(help, "drills.htm.test_id"), "\"htm_1\"");
    cr_assert_str_neq(help_at(help, "playbooks.run_diagnostics"), "");
    help_damage(help, KERNEL_HEAL_KEPT, VIEW_LITERAL("boot"));
    cr_assert_eq(help_ask(help, "report", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "drills.htm.test_id"), "\"htm_1\"");
    cr_assert_str_eq(help_at(help, "drills.boot.test_id"), "");
}
