// store_test.c - lists, limits, damage, and that the state is a function of the records.
#include "help.h"
#include "htm/over.h"
#include <criterion/criterion.h>
#include <stdio.h>

static void
enqueue(help_t *self, const char *name, const char *handler, const char *more)
{
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"%s\",\"task_type\":\"x\",\"handler\":\"%s\"%s}",
              name,
              handler,
              more);
}

static void
ready(help_t *self, unsigned slots)
{
    help_take(
        self, "task.worker.ready", "{\"worker\":\"w\",\"handlers\":[\"h\"],\"slots\":%u}", slots);
}

// The names of the last list, one behind the other.
static const char *
names(help_t *self, const char *json)
{
    static char found[2000];
    cr_assert_eq(help_ask(self, "tasks", json), BUS_OK);
    found[0] = '\0';
    const char *at = help_text(self->answer);
    while ((at = strstr(at, "\"task_id\":\"")) != NULL) {
        at += strlen("\"task_id\":\"");
        strncat(found, at, strcspn(at, "\""));
        strcat(found, " ");
    }
    return found;
}

Test(store, lists_by_status_in_the_order_that_is_promised)
{
    help_t *self = help_new();
    enqueue(self, "a", "g", ",\"priority\":\"low\"");
    enqueue(self, "b", "k", "");
    enqueue(self, "c", "g", ",\"priority\":\"critical\"");
    enqueue(self, "d", "g", ",\"delay_seconds\":9");
    enqueue(self, "e", "k", ",\"delay_seconds\":8");
    for (unsigned i = 0; i < 4; i++) {
        enqueue(self, (char[]){'r', (char) ('0' + (char) i), '\0'}, "h", "");
    }
    ready(self, 2);
    help_take(self, "task.completed", "{\"task_id\":\"r0\"}");
    help_take(self, "task.completed", "{\"task_id\":\"r1\"}");
    help_take(self, "task.cancel", "{\"task_id\":\"e\"}");
    cr_assert_str_eq(names(self, "{\"status\":\"waiting\"}"), "c b a d ");
    cr_assert_str_eq(names(self, "{\"status\":\"waiting\",\"handler\":\"g\"}"), "c a d ");
    cr_assert_str_eq(names(self, "{\"status\":\"waiting\",\"limit\":2}"), "c b ");
    cr_assert_str_eq(names(self, "{\"status\":\"running\"}"), "r3 r2 ");
    cr_assert_str_eq(names(self, "{\"status\":\"completed\"}"), "r1 r0 ");
    cr_assert_str_eq(names(self, "{\"status\":\"completed\",\"handler\":\"k\"}"), "");
    cr_assert_str_eq(names(self, "{\"status\":\"cancelled\"}"), "e ");
    cr_assert_str_eq(names(self, "{\"status\":\"dead\"}"), "");
    cr_assert_str_eq(names(self, "{}"), "r3 r2 c b a d ");
    cr_assert_str_eq(names(self, "{\"limit\":3}"), "r3 r2 c ");
    cr_assert_eq(help_ask(self, "tasks", "{\"status\":\"odd\"}"), BUS_VALIDATION_FAILED);
    cr_assert_eq(help_ask(self, "task", "{\"task_id\":\"none\"}"), BUS_NOT_FOUND);
    help_destroy(&self);
}

Test(store, shows_how_full_the_queue_is)
{
    help_t *self = help_new();
    cr_assert_eq(help_ask(self, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(self, "system_health"), "\"healthy\"");
    enqueue(self, "a", "h", "");
    cr_assert_eq(help_ask(self, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(self, "system_health"), "\"no_workers\"");
    ready(self, 1);
    enqueue(self, "b", "h", ",\"priority\":\"high\",\"delay_seconds\":5");
    cr_assert_eq(help_ask(self, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(self, "queue_sizes"),
                     "{\"critical\":0,\"high\":1,\"normal\":0,\"low\":0,\"running\":1,\"held\":0}");
    cr_assert_not_null(strstr(help_at(self, "running_tasks"), "\"task_id\":\"a\""));
    cr_assert_str_eq(help_at(self, "dispatch"),
                     "{\"count\":0,\"p50_us\":0,\"p90_us\":0,\"p99_us\":0,\"max_us\":0}");
    cr_assert_not_null(strstr(help_at(self, "workers"), "\"worker\":\"w\""));
    help_destroy(&self);
}

Test(store, measures_a_start_by_the_journals_clock)
{
    help_t *self = help_new();
    self->source = "htm";
    for (unsigned i = 1; i <= 100; i++) {
        self->at = T0 + i * 10;
        help_take(self,
                  "task.started",
                  "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\",\"priority\":\"low\","
                  "\"worker\":\"w\",\"attempt\":1,\"at\":%llu,\"cause\":1,\"queued_us\":0,"
                  "\"dispatch_us\":5,\"overtook\":0}",
                  (unsigned long long) T0);
    }
    cr_assert_eq(help_ask(self, "status", "{}"), BUS_OK);
    cr_assert_str_eq(
        help_at(self, "dispatch"),
        "{\"count\":100,\"p50_us\":505,\"p90_us\":905,\"p99_us\":995,\"max_us\":1005}");
    help_destroy(&self);
}

Test(store, keeps_the_last_that_are_over)
{
    help_t *self = help_new();
    enqueue(self, "first", "h", ",\"context\":{\"a\":1}");
    ready(self, 1);
    help_take(self, "task.failed", "{\"task_id\":\"first\",\"error\":\"e\"}");
    help_clock(self, SECOND);
    help_take(self, "task.completed", "{\"task_id\":\"first\",\"result\":{\"b\":2}}");
    htm_state_t *state = self->state;
    cr_assert_gt(state->totals.bytes, 0);
    enqueue(self, "dead", "h", "");
    help_take(self, "task.failed", "{\"task_id\":\"dead\",\"error\":\"e\",\"retry\":false}");
    state->totals.over[HTM_IS_COMPLETED] = HTM_OVER_MAX; // as if there were so many
    uint64_t bytes = state->totals.bytes;
    enqueue(self, "next", "h", "");
    help_take(self, "task.completed", "{\"task_id\":\"next\"}");
    cr_assert_str_eq(help_task(self, "first", "status"), "NOT_FOUND");
    cr_assert_str_eq(help_task(self, "next", "status"), "\"completed\"");
    cr_assert_str_eq(help_task(self, "dead", "status"), "\"dead\"", "dead letters have their own");
    cr_assert_eq(state->totals.bytes, bytes - 8, "two small maps");
    cr_assert_eq(help_rows(self, HTM_CONTEXTS) + help_rows(self, HTM_RESULTS), 0);
    cr_assert_eq(help_rows(self, HTM_IDS), 2);
    cr_assert_eq(help_rows(self, HTM_EVENTS), 0, "its retry went with it");
    enqueue(self, "first", "h", "");
    help_destroy(&self);
}

Test(store, refuses_what_is_too_much_and_changes_nothing)
{
    help_t *self = help_new();
    htm_state_t *state = self->state;
    state->totals.waiting[HTM_LOW] = 1000000;
    cr_assert_eq(help_apply(self, "task.enqueue", "{\"task_type\":\"x\"}"), BUS_BUSY);
    state->totals.waiting[HTM_LOW] = 0;
    state->totals.bytes = HTM_OVER_BYTES_MAX;
    cr_assert_eq(help_apply(self, "task.enqueue", "{\"task_type\":\"x\",\"context\":{\"a\":1}}"),
                 BUS_BUSY);
    state->totals.bytes = 0;
    help_take(self, "governance.gate", "{\"on\":true}");
    state->totals.held = 10000;
    cr_assert_eq(help_apply(self, "layer3.intent.task", "{\"intent\":\"x\"}"), BUS_BUSY);
    state->totals.held = 0;
    cr_assert_eq(help_rows(self, HTM_TASKS) + help_rows(self, HTM_IDS), 0);
    help_destroy(&self);
}

Test(store, refuses_more_handlers_than_it_looks_at_and_forgets_those_that_have_nothing)
{
    help_t *self = help_new();
    char name[20];
    for (unsigned i = 0; i < HTM_QUEUE_HANDLERS_MAX; i++) {
        snprintf(name, sizeof name, "h%u", i);
        enqueue(self, name, name, "");
    }
    cr_assert_eq(help_apply(self, "task.enqueue", "{\"task_type\":\"x\",\"handler\":\"more\"}"),
                 BUS_BUSY);
    cr_assert_eq(
        help_apply(self, "task.worker.ready", "{\"worker\":\"w\",\"handlers\":[\"more\"]}"),
        BUS_BUSY);
    help_take(self, "task.cancel", "{\"task_id\":\"h77\"}");
    enqueue(self, "more", "more", "");
    help_destroy(&self);
}

// --- Damage --------------------------------------------------------------------------------------

Test(store, goes_on_past_a_damaged_task)
{
    help_t *self = help_new();
    enqueue(self, "a", "h", "");
    enqueue(self, "b", "h", "");
    help_damage(self, HTM_TASKS, STORE_U64(1));
    ready(self, 1);
    cr_expect_brief(self, "started b w 1 0\n");
    cr_assert_eq(help_count(self, "statistics.damaged"), 1);
    cr_assert_eq(help_count(self, "queue_sizes.normal"), 0);
    help_clock(self, 100000 * SECOND);
    cr_assert_eq(help_apply(self, "task.cancel", "{\"task_id\":\"a\"}"), BUS_NOT_FOUND);
    cr_assert_eq(help_apply(self, "task.completed", "{\"task_id\":\"a\"}"), BUS_INVALID_REQUEST);
    cr_assert_eq(help_apply(self, "task.enqueue", "{\"task_id\":\"a\",\"task_type\":\"x\"}"),
                 BUS_CONFLICT);
    help_destroy(&self);
}

Test(store, goes_on_past_a_damaged_task_that_runs)
{
    help_t *self = help_new();
    enqueue(self, "a", "h", "");
    ready(self, 1);
    help_damage(self, HTM_TASKS, STORE_U64(1));
    help_clock(self, 100 * SECOND);
    self->source = "htm";
    help_take(self, "task.clock", "{\"resumed\":true}");
    help_take(self, "task.worker.gone", "{\"worker\":\"w\"}");
    cr_assert_eq(help_count(self, "queue_sizes.running"), 0);
    cr_assert_eq(help_rows(self, HTM_RUNNING), 0);
    help_reopen(self);
    ready(self, 1);
    enqueue(self, "b", "h", "");
    cr_assert_str_eq(help_task(self, "b", "status"), "\"running\"");
    help_destroy(&self);
}

Test(store, opens_past_damaged_rows)
{
    help_t *self = help_new();
    enqueue(self, "a", "h", "");
    help_damage(self, HTM_ORDER, VIEW_LITERAL("odd"));
    help_damage(self, HTM_WORKERS, VIEW_LITERAL("odd"));
    help_damage(self, HTM_RUNNING, VIEW_LITERAL("odd"));
    help_damage(self, HTM_DUE, VIEW_LITERAL("odd"));
    help_damage(self, HTM_DELAYED, VIEW_LITERAL("odd"));
    help_damage(self, HTM_OVER, VIEW_LITERAL("\x03"));
    help_reopen(self);
    ready(self, 1);
    cr_expect_brief(self, "started a w 1 0\n");
    help_clock(self, 100000 * SECOND);
    cr_assert_eq(help_ask(self, "tasks", "{\"status\":\"completed\"}"), BUS_OK);
    cr_assert_eq(help_ask(self, "tasks", "{}"), BUS_OK);
    help_destroy(&self);
}

// --- A function of the records -------------------------------------------------------------------

static void
do_things(help_t *self, bool with_restarts)
{
    for (unsigned i = 0; i < 40; i++) {
        char name[20];
        snprintf(name, sizeof name, "t%u", i);
        enqueue(self, name, i % 2 == 0 ? "h" : "g", i % 3 == 0 ? ",\"sla_seconds\":5" : "");
        if (i % 8 == 0) {
            ready(self, 3 + i / 8);
        }
        if (i % 5 == 4) {
            snprintf(name, sizeof name, "{\"task_id\":\"t%u\"}", i - 4);
            (void) help_apply(self, "task.completed", name);
        }
        help_clock(self, SECOND);
        if (with_restarts && i % 4 == 1) {
            help_reopen(self);
        }
        if (with_restarts && i % 4 == 3) {
            help_undo(self, "task.worker.gone", "{\"worker\":\"w\"}");
        }
    }
}

Test(store, is_the_same_whatever_restarts_lay_between_the_records)
{
    help_t *straight = help_new();
    help_t *broken = help_new();
    do_things(straight, false);
    do_things(broken, true);
    char a[STORE_HASH_SIZE], b[STORE_HASH_SIZE];
    help_state_hash(straight, a);
    help_state_hash(broken, b);
    cr_assert_str_eq(a, b);
    help_destroy(&straight);
    help_destroy(&broken);
}
