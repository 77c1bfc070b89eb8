// config_test.c - what HTM is started with.
#include "help.h"
#include "htm/config.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const variables[] = {
    "BHIV_HTM_LEASE_SECONDS",
    "BHIV_HTM_BACKOFF_SECONDS",
    "BHIV_HTM_LOSSES_MAX",
    "BHIV_HTM_STRAINED_CPU",
    "BHIV_HTM_STRAINED_MEMORY",
};

static void
clear(void)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        unsetenv(variables[i]);
    }
}

TestSuite(config, .init = clear);

Test(config, has_the_defaults_that_are_documented)
{
    htm_config_t config;
    setenv("BHIV_HTM_LEASE_SECONDS", "", 1); // empty is unset
    cr_assert_eq(htm_config_read(&config), BUS_OK);
    cr_assert_float_eq(config.lease_seconds, 30, 0);
    cr_assert_float_eq(config.backoff_seconds, 1, 0);
    cr_assert_float_eq(config.strained_cpu, 90, 0);
    cr_assert_float_eq(config.strained_memory, 85, 0);
    cr_assert_eq(config.losses_max, 5);
}

Test(config, takes_fractions_of_seconds)
{
    htm_config_t config;
    setenv("BHIV_HTM_LEASE_SECONDS", "0.25", 1);
    setenv("BHIV_HTM_BACKOFF_SECONDS", "0.01", 1);
    cr_assert_eq(htm_config_read(&config), BUS_OK);
    cr_assert_float_eq(config.lease_seconds, 0.25, 0);
    cr_assert_float_eq(config.backoff_seconds, 0.01, 0);
}

Test(config, refuses_nonsense)
{
    static const char *const rows[][2] = {
        {"BHIV_HTM_LEASE_SECONDS", "0"},
        {"BHIV_HTM_LEASE_SECONDS", "soon"},
        {"BHIV_HTM_LEASE_SECONDS", "5s"},
        {"BHIV_HTM_LEASE_SECONDS", "nan"},
        {"BHIV_HTM_LEASE_SECONDS", "1e9"},
        {"BHIV_HTM_BACKOFF_SECONDS", "-1"},
        {"BHIV_HTM_LOSSES_MAX", "0"},
        {"BHIV_HTM_LOSSES_MAX", "2.5"},
        {"BHIV_HTM_LOSSES_MAX", "101"},
        {"BHIV_HTM_STRAINED_CPU", "inf"},
        {"BHIV_HTM_STRAINED_MEMORY", "0.5"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        htm_config_t config;
        setenv(rows[i][0], rows[i][1], 1);
        cr_assert_eq(
            htm_config_read(&config), BUS_VALIDATION_FAILED, "%s=%s", rows[i][0], rows[i][1]);
        unsetenv(rows[i][0]);
    }
}

Test(config, is_packed_as_the_message_that_journals_it)
{
    setenv("BHIV_HTM_LOSSES_MAX", "7", 1);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_htm_config_t message;
    schema_problems_t problems = {.count = 0};
    htm_config_pack(NULL, out);
    cr_assert_eq(schema_decode(&SCHEMA_htm_config, pack_view(out), &message, &problems), BUS_OK);
    cr_assert_eq(message.losses_max.value, 7);
}

Test(config, applies_to_tasks_that_come_after_it)
{
    help_t *self = help_new();
    self->source = "htm";
    help_take(self, "task.enqueue", "{\"task_id\":\"a\",\"task_type\":\"x\"}");
    help_take(self,
              "task.config",
              "{\"lease_seconds\":7.5,\"losses_max\":2,\"backoff_seconds\":1,\"strained_cpu\":90,"
              "\"strained_memory\":85}");
    help_take(self, "task.enqueue", "{\"task_id\":\"b\",\"task_type\":\"x\"}");
    cr_assert_str_eq(help_task(self, "a", "lease_seconds"), "30.0");
    cr_assert_str_eq(help_task(self, "b", "lease_seconds"), "7.5");
    cr_assert_eq(help_count(self, "config.losses_max"), 2);
    help_destroy(&self);
}

Test(config, that_cannot_be_changes_nothing)
{
    help_t *self = help_new();
    self->source = "htm";
    static const char *const seconds[][2] = {
        {"0", "1"}, {"-1", "1"}, {"1e300", "1"}, {"0.01", "1"}, {"30", "0"}, {"30", "1e18"}};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        char body[160];
        (void) snprintf(body,
                        sizeof body,
                        "{\"lease_seconds\":%s,\"losses_max\":9,\"backoff_seconds\":%s,"
                        "\"strained_cpu\":90,\"strained_memory\":85}",
                        seconds[i][0],
                        seconds[i][1]);
        cr_assert_eq(help_apply(self, "task.config", body), BUS_VALIDATION_FAILED, "%s", body);
    }
    help_take(self, "task.enqueue", "{\"task_id\":\"a\",\"task_type\":\"x\"}");
    cr_assert_str_eq(help_task(self, "a", "lease_seconds"), "30.0");
    cr_assert_eq(help_count(self, "config.losses_max"), 5);
    help_destroy(&self);
}
