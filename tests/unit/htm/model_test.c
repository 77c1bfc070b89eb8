// model_test.c - thousands of random records, and the queue says what the model says.
#include "help.h"
#include "model.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORDS = 4000, LINES_MAX = 8000 };

typedef struct {
    help_t *help;
    model_t *model;
    uint64_t random;
    unsigned instances[MODEL_WORKERS];
} run_t;

static unsigned
pick(run_t *self, unsigned below)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return (unsigned) (self->random >> 33) % below;
}

static const char *const priorities[] = {"critical", "high", "normal", "low"};

static void
enqueue(run_t *self)
{
    help_t *help = self->help;
    unsigned rank = pick(self, 4), delay = pick(self, 6) == 0 ? 1 + pick(self, 5) : 0;
    const model_task_t task = {
        .seq = help->seq + 1,
        .queued = help->at,
        .sla = (5 + pick(self, 60)) * SECOND,
        .lease = (2 + pick(self, 8)) * SECOND,
        .rank = rank,
        .asked_rank = rank,
        .handler = pick(self, MODEL_HANDLERS),
        .max_retries = pick(self, 3),
    };
    model_enqueue(self->model, help->at, &task, delay * SECOND);
    help_take(help,
              "task.enqueue",
              "{\"task_id\":\"t%u\",\"task_type\":\"x\",\"handler\":\"h%u\",\"priority\":\"%s\","
              "\"sla_seconds\":%u,\"lease_seconds\":%u,\"max_retries\":%u,\"delay_seconds\":%u}",
              self->model->count - 1,
              task.handler,
              priorities[rank],
              (unsigned) (task.sla / SECOND),
              (unsigned) (task.lease / SECOND),
              task.max_retries,
              delay);
}

static void
ready(run_t *self)
{
    unsigned worker = pick(self, MODEL_WORKERS), slots = 1 + pick(self, 4);
    bool serves[MODEL_HANDLERS] = {false};
    char list[100] = "";
    for (unsigned i = 0, many = 1 + pick(self, 3); i < many; i++) {
        unsigned handler = pick(self, MODEL_HANDLERS);
        serves[handler] = true; // some are named twice
        size_t size = strlen(list);
        snprintf(list + size, sizeof list - size, "%s\"h%u\"", i == 0 ? "" : ",", handler);
    }
    bool is_new = pick(self, 3) == 0;
    self->instances[worker] += is_new;
    model_ready(self->model, self->help->at, worker, serves, slots, is_new);
    help_take(self->help,
              "task.worker.ready",
              "{\"worker\":\"w%u\",\"instance\":\"i%u\",\"handlers\":[%s],\"slots\":%u}",
              worker,
              self->instances[worker],
              list,
              slots);
}

static void
gone(run_t *self)
{
    unsigned worker = pick(self, MODEL_WORKERS);
    model_gone(self->model, self->help->at, worker);
    help_take(self->help, "task.worker.gone", "{\"worker\":\"w%u\"}", worker);
}

// Mostly one that runs, or was there lately.
static unsigned
pick_task(run_t *self)
{
    unsigned task = 0;
    for (unsigned i = 0; i < 12; i++) {
        unsigned back = pick(self, self->model->count < 60 ? self->model->count : 60);
        task = self->model->count - 1 - back;
        if (self->model->tasks[task].status == RUNNING && pick(self, 8) > 0) {
            break;
        }
    }
    return task;
}

static void
report(run_t *self, unsigned kind)
{
    if (self->model->count == 0) {
        return;
    }
    unsigned task = pick_task(self);
    const model_task_t *of = &self->model->tasks[task];
    unsigned attempt = of->attempts > 1 && pick(self, 5) == 0 ? of->attempts - 1 : of->attempts;
    attempt = attempt == 0 ? 1 : attempt;
    unsigned worker = pick(self, 8) == 0 ? pick(self, MODEL_WORKERS) : of->worker;
    bool retry = pick(self, 8) > 0;
    char json[300];
    int size = snprintf(json,
                        sizeof json,
                        "{\"task_id\":\"t%u\",\"attempt\":%u,\"worker\":\"w%u\"",
                        task,
                        attempt,
                        worker);
    char *rest = json + size;
    size_t room = sizeof json - (size_t) size;
    uint64_t at = self->help->at;
    if (kind == 0) {
        model_renew(self->model, at, task, attempt, worker);
        snprintf(rest, room, "}");
        (void) help_apply(self->help, "task.renew", json);
    } else if (kind == 1) {
        model_failed(self->model, at, task, attempt, worker, retry);
        snprintf(rest, room, ",\"error\":\"e\",\"retry\":%s}", retry ? "true" : "false");
        (void) help_apply(self->help, "task.failed", json);
    } else {
        model_completed(self->model, at, task, attempt, worker);
        snprintf(rest, room, ",\"result\":{\"n\":1}}");
        (void) help_apply(self->help, "task.completed", json);
    }
}

static void
command(run_t *self, bool is_cancel)
{
    if (self->model->count == 0) {
        return;
    }
    unsigned task = pick_task(self);
    char json[100];
    snprintf(json, sizeof json, "{\"task_id\":\"t%u\"}", task);
    if (is_cancel) {
        model_cancel(self->model, self->help->at, task);
        (void) help_apply(self->help, "task.cancel", json);
    } else {
        model_requeue(self->model, self->help->at, task);
        (void) help_apply(self->help, "task.requeue", json);
    }
}

static void
rules(run_t *self)
{
    model_t *model = self->model;
    if (pick(self, 2) == 0) {
        bool is_strained = pick(self, 3) == 0;
        model_rules(model, self->help->at, is_strained, model->reserve);
        self->help->source = "htm";
        help_take(self->help,
                  "task.pressure",
                  "{\"strained\":%s,\"cpu_percent\":1,\"memory_percent\":1}",
                  is_strained ? "true" : "false");
        self->help->source = "py_tests";
    } else {
        unsigned reserve = pick(self, 51);
        model_rules(model, self->help->at, model->is_strained, reserve);
        help_take(self->help, "task.order", "{\"reserve\":%u}", reserve);
    }
}

static void
step(run_t *self)
{
    unsigned what = pick(self, 100);
    self->help->at += pick(self, 3) == 0 ? pick(self, 400) * (SECOND / 100) : pick(self, 1000);
    if (what < 32) {
        enqueue(self);
    } else if (what < 62) {
        report(self, 2);
    } else if (what < 70) {
        report(self, 1);
    } else if (what < 75) {
        report(self, 0);
    } else if (what < 90) {
        model_clock(self->model, self->help->at);
        help_clock(self->help, 0);
    } else if (what < 93) {
        ready(self);
    } else if (what < 94) {
        gone(self);
    } else if (what < 98) {
        command(self, what < 96);
    } else {
        rules(self);
    }
}

// --- Comparing -----------------------------------------------------------------------------------

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

// Starts in their order, then the rest sorted: within one moment it has none.
static char *
normal_form(const char *lines)
{
    char *copy = strdup(lines);
    char *result = calloc(1, strlen(lines) + 2);
    char *rest[LINES_MAX];
    size_t count = 0;
    char *place = NULL;
    for (char *line = strtok_r(copy, "\n", &place); line != NULL;
         line = strtok_r(NULL, "\n", &place)) {
        if (strncmp(line, "started", 7) == 0) {
            strcat(strcat(result, line), "\n");
        } else {
            cr_assert(count < LINES_MAX);
            rest[count++] = line;
        }
    }
    qsort(rest, count, sizeof *rest, compare);
    for (size_t i = 0; i < count; i++) {
        strcat(strcat(result, rest[i]), "\n");
    }
    free(copy);
    return result;
}

static void
compare_lines(run_t *self, unsigned step_number)
{
    char *said = normal_form(help_text(self->help->brief));
    char *expected = normal_form(self->model->lines);
    cr_assert_str_eq(said, expected, "record %u", step_number);
    free(said);
    free(expected);
    help_forget(self->help);
}

static void
compare_counts(run_t *self)
{
    long counts[6] = {0};
    for (unsigned i = 0; i < self->model->count; i++) {
        counts[self->model->tasks[i].status]++;
    }
    help_t *help = self->help;
    long waiting = help_count(help, "queue_sizes.critical") + help_count(help, "queue_sizes.high") +
                   help_count(help, "queue_sizes.normal") + help_count(help, "queue_sizes.low");
    cr_assert_eq(waiting, counts[WAITING]);
    cr_assert_eq(help_count(help, "queue_sizes.running"), counts[RUNNING]);
    cr_assert_eq((long) help_rows(help, HTM_OVER),
                 counts[COMPLETED] + counts[DEAD] + counts[CANCELLED]);
    cr_assert_eq((long) help_rows(help, HTM_RUNNING), counts[RUNNING]);
    cr_assert_eq((long) (help_rows(help, HTM_ORDER) + help_rows(help, HTM_DELAYED)), waiting);
    cr_assert_leq((long) help_rows(help, HTM_DUE), counts[RUNNING] + counts[WAITING]);
    cr_assert_eq(help_count(help, "statistics.damaged"), 0);
}

static void
run(uint64_t seed, void (*between)(run_t *self))
{
    run_t self = {.help = help_new(), .model = calloc(1, sizeof(model_t)), .random = seed};
    self.model->lease = 30 * SECOND;
    self.model->backoff = SECOND;
    self.model->losses_max = 3;
    self.help->source = "htm";
    help_take(self.help,
              "task.config",
              "{\"lease_seconds\":30,\"losses_max\":3,\"backoff_seconds\":1,\"strained_cpu\":90,"
              "\"strained_memory\":85}");
    self.help->source = "py_tests";
    for (unsigned i = 0; i < RECORDS; i++) {
        step(&self);
        compare_lines(&self, i);
        if (i % 200 == 199) {
            compare_counts(&self);
            between(&self);
        }
    }
    cr_assert_gt(self.model->count, RECORDS / 5, "it did something");
    cr_assert_gt(help_count(self.help, "statistics.overtakes"), 0);
    cr_assert_gt(help_count(self.help, "statistics.lapsed"), 0);
    cr_assert_gt(help_count(self.help, "statistics.gone"), 0);
    cr_assert_gt(help_count(self.help, "statistics.escalations"), 0);
    cr_assert_gt(help_count(self.help, "statistics.duplicates"), 0);
    help_destroy(&self.help);
    free(self.model);
}

static void
nothing(run_t *self BUS_UNUSED)
{
}

static void
reopen(run_t *self)
{
    help_reopen(self->help);
}

static void
undo(run_t *self)
{
    help_undo(self->help, "task.worker.ready", "{\"worker\":\"w1\",\"handlers\":[\"h1\",\"h2\"]}");
    help_undo(self->help, "task.worker.gone", "{\"worker\":\"w0\"}");
    help_undo(self->help, "task.enqueue", "{\"task_type\":\"x\",\"handler\":\"other\"}");
    help_forget(self->help);
}

Test(model, says_what_the_queue_says)
{
    run(0x1234567, nothing);
}

Test(model, says_what_another_queue_says)
{
    run(0xfeedbeef, nothing);
}

Test(model, says_what_a_queue_that_starts_again_says)
{
    run(0xabcdef1, reopen);
}

Test(model, says_what_a_queue_says_of_which_batches_were_undone)
{
    run(0x7777777, undo);
}
