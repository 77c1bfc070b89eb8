// worker_test.c - a worker against a broker that loses, dies and hands out twice.
#include "../runtime/fake_broker.h"
#include "kernel/worker.h"
#include "proto/schema.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { WAIT_MS = 20000, JOBS_MAX = 64 };

typedef struct {
    loop_t *loop;
    fake_broker_t *broker;
    client_t *client;
    kernel_worker_t *worker;
    kernel_worker_job_t *jobs[JOBS_MAX]; // in the order in which they began
    size_t count;
    bool completes;    // at once
    const char *topic; // that is waited for
    size_t target;     // so often
} bench_t;

static bus_view_t
result_of(pack_t *out)
{
    pack_clear(out);
    pack_map(out, 1);
    pack_pair_text(out, "status", "success");
    return pack_view(out);
}

static void
on_job(void *arg, kernel_worker_job_t *job)
{
    bench_t *self = arg;
    cr_assert_lt(self->count, JOBS_MAX);
    self->jobs[self->count++] = job;
    if (self->completes) {
        BUS_AUTO(pack_destroy) pack_t *out = pack_new();
        kernel_worker_complete(self->worker, &job, result_of(out));
        cr_assert_null(job);
    }
}

static bool
has_topic(void *arg)
{
    bench_t *self = arg;
    return fake_broker_count_topic(self->broker, self->topic) >= self->target;
}

static void
await_topic(bench_t *self, const char *topic, size_t target)
{
    self->topic = topic;
    self->target = target;
    cr_assert(fake_run(self->loop, has_topic, self, WAIT_MS), "%s: not %zu", topic, target);
}

static bool
has_jobs(void *arg)
{
    bench_t *self = arg;
    return self->count >= self->target;
}

static void
await_jobs(bench_t *self, size_t target)
{
    self->target = target;
    cr_assert(fake_run(self->loop, has_jobs, self, WAIT_MS), "%zu jobs", self->count);
}

static bool
is_all_acked(void *arg)
{
    bench_t *self = arg;
    return client_pending(self->client) == 0;
}

static bool
has_open(void *arg)
{
    bench_t *self = arg;
    return kernel_worker_open(self->worker) >= self->target;
}

static void
start_worker(bench_t *self, unsigned slots)
{
    static const char *const handlers[] = {"librarian", "memory"};
    kernel_worker_options_t options = {.name = "w1",
                                       .handlers = handlers,
                                       .handler_count = 2,
                                       .slots = slots,
                                       .fn = on_job,
                                       .arg = self};
    self->worker = kernel_worker_new(self->loop, self->client, &options);
}

static bench_t *
bench_new(unsigned slots)
{
    bench_t *self = calloc(1, sizeof *self);
    self->loop = loop_new();
    self->broker = fake_broker_new(self->loop, 1);
    client_options_t options = {.source = "kernel-test",
                                .service = "kernel-test",
                                .ingress = fake_broker_ingress(self->broker),
                                .egress = fake_broker_egress(self->broker)};
    self->client = client_new(self->loop, &options);
    start_worker(self, slots);
    return self;
}

static void
bench_destroy(bench_t **self_p)
{
    bench_t *self = *self_p;
    kernel_worker_destroy(&self->worker);
    client_destroy(&self->client);
    fake_broker_destroy(&self->broker);
    loop_destroy(&self->loop);
    free(self);
    *self_p = NULL;
}

typedef struct {
    const char *task_id;
    const char *worker;
    const char *handler;
    int64_t attempt;
    double lease_seconds;
    const char *source; // NULL: the queue
} hand_t;

static void
hand_out(bench_t *self, hand_t hand)
{
    static const uint8_t empty_map[] = {0x80};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    char topic[100];
    schema_task_execute_t task = {
        .task_id = view_from_text(hand.task_id),
        .task_type = VIEW_LITERAL("recall"),
        .handler = view_from_text(hand.handler == NULL ? "memory" : hand.handler),
        .priority = VIEW_LITERAL("high"),
        .context = view_from(empty_map, 1),
        .worker = view_from_text(hand.worker == NULL ? "w1" : hand.worker),
        .attempt = {true, hand.attempt == 0 ? 1 : hand.attempt},
        .lease_seconds = {true, hand.lease_seconds == 0 ? 30 : hand.lease_seconds},
        .sla_seconds = {true, 3600},
    };
    schema_encode(&SCHEMA_task_execute, &task, out);
    snprintf(topic, sizeof topic, "task.execute.%.*s", (int) task.handler.size, task.handler.data);
    header_t header = {.id = VIEW_LITERAL("e1"),
                       .source = view_from_text(hand.source == NULL ? "htm" : hand.source),
                       .trace_id = VIEW_LITERAL("trace-7")};
    fake_broker_publish(self->broker, topic, &header, pack_view(out));
}

// The latest of this topic.
static const fake_record_t *
latest(const bench_t *self, const char *topic)
{
    for (size_t i = fake_broker_count(self->broker); i > 0; i--) {
        const fake_record_t *record = fake_broker_record(self->broker, i - 1);
        if (strcmp(record->topic, topic) == 0) {
            return record;
        }
    }
    cr_assert_fail("no %s", topic);
    return NULL;
}

static bus_view_t
text_in(const fake_record_t *record, const char *path)
{
    bus_view_t value, text;
    cr_assert_eq(walk_find_path(record->body, path, &value), BUS_OK, "no %s", path);
    cr_assert_eq(walk_as_str(value, &text), BUS_OK);
    return text;
}

static int64_t
int_in(const fake_record_t *record, const char *key)
{
    bus_view_t value;
    int64_t number = 0;
    cr_assert_eq(walk_find(record->body, key, &value), BUS_OK, "no %s", key);
    cr_assert_eq(walk_as_int(value, &number), BUS_OK);
    return number;
}

Test(worker, says_ready_once_it_hears_with_all_that_the_queue_must_know)
{
    bench_t *self = bench_new(4);
    await_topic(self, "task.worker.ready", 1);
    const fake_record_t *record = latest(self, "task.worker.ready");
    schema_task_worker_ready_t ready;
    schema_problems_t problems;
    cr_assert_eq(schema_decode(&SCHEMA_task_worker_ready, record->body, &ready, &problems), BUS_OK);
    cr_assert(view_is(ready.worker, "w1"));
    cr_assert(view_is(ready.instance, client_instance(self->client)));
    cr_assert_eq(ready.slots.value, 4);
    // What is handed out from the very moment of its ready is heard.
    hand_out(self, (hand_t){.task_id = "t1"});
    await_jobs(self, 1);
    bench_destroy(&self);
}

Test(worker, hands_over_what_it_was_given_and_says_what_came_of_it_in_the_same_trace)
{
    bench_t *self = bench_new(1);
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1", .attempt = 3, .handler = "librarian"});
    await_jobs(self, 1);
    kernel_worker_job_t *job = self->jobs[0];
    cr_assert(view_is(job->task_id, "t1"));
    cr_assert(view_is(job->task_type, "recall"));
    cr_assert(view_is(job->handler, "librarian"));
    cr_assert(view_is(job->priority, "high"));
    cr_assert(view_is(job->trace_id, "trace-7"));
    cr_assert_eq(job->attempt, 3);
    cr_assert_eq(job->context.size, 1);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    kernel_worker_complete(self->worker, &job, result_of(out));
    cr_assert_null(job);
    cr_assert_eq(kernel_worker_open(self->worker), 0);
    await_topic(self, "task.completed", 1);
    const fake_record_t *record = latest(self, "task.completed");
    cr_assert(view_is(text_in(record, "task_id"), "t1"));
    cr_assert(view_is(text_in(record, "worker"), "w1"));
    cr_assert(view_is(text_in(record, "result.status"), "success"));
    cr_assert_eq(int_in(record, "attempt"), 3);
    header_t header;
    const char *why;
    cr_assert_eq(header_decode(record->header, &header, &why), BUS_OK);
    cr_assert(view_is(header.trace_id, "trace-7"));
    bench_destroy(&self);
}

Test(worker, leaves_alone_what_the_queue_did_not_hand_out)
{
    bench_t *self = bench_new(4);
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1", .source = "somebody"});
    hand_out(self, (hand_t){.task_id = "t2"});
    await_jobs(self, 1);
    cr_assert(view_is(self->jobs[0]->task_id, "t2"));
    bench_destroy(&self);
}

Test(worker, leaves_alone_what_is_another_workers_or_malformed)
{
    bench_t *self = bench_new(4);
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1", .worker = "w2"});
    header_t header = {.id = VIEW_LITERAL("e2"), .source = VIEW_LITERAL("htm")};
    static const uint8_t empty_map[] = {0x80};
    fake_broker_publish(self->broker, "task.execute.memory", &header, view_from(empty_map, 1));
    hand_out(self, (hand_t){.task_id = "t2"});
    await_jobs(self, 1);
    cr_assert(view_is(self->jobs[0]->task_id, "t2"));
    cr_assert_eq(kernel_worker_open(self->worker), 1);
    bench_destroy(&self);
}

Test(worker, does_the_same_attempt_once_however_often_it_is_handed_out)
{
    bench_t *self = bench_new(4);
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1"});
    hand_out(self, (hand_t){.task_id = "t1"});
    hand_out(self, (hand_t){.task_id = "t1", .attempt = 2}); // its lease was thought to be over
    hand_out(self, (hand_t){.task_id = "t2"});
    await_jobs(self, 2);
    cr_assert(view_is(self->jobs[1]->task_id, "t2"));
    cr_assert_eq(kernel_worker_open(self->worker), 2);
    cr_assert_eq(self->jobs[0]->attempt, 2);
    bench_destroy(&self);
}

Test(worker, tells_again_what_it_did_instead_of_doing_it_again)
{
    bench_t *self = bench_new(4);
    self->completes = true;
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1"});
    await_topic(self, "task.completed", 1);
    cr_assert(fake_run(self->loop, is_all_acked, self, WAIT_MS));
    hand_out(self, (hand_t){.task_id = "t1"});
    await_topic(self, "task.completed", 2);
    cr_assert_eq(self->count, 1);
    const fake_record_t *record = latest(self, "task.completed");
    cr_assert(view_is(text_in(record, "result.status"), "success"));
    bench_destroy(&self);
}

Test(worker, tries_again_what_failed_when_it_is_handed_out_again)
{
    bench_t *self = bench_new(4);
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1"});
    await_jobs(self, 1);
    kernel_worker_job_t *job = self->jobs[0];
    kernel_worker_fail(self->worker, &job, "no luck", true);
    cr_assert_null(job);
    await_topic(self, "task.failed", 1);
    const fake_record_t *record = latest(self, "task.failed");
    cr_assert(view_is(text_in(record, "error"), "no luck"));
    bus_view_t retry;
    cr_assert_eq(walk_find(record->body, "retry", &retry), BUS_NOT_FOUND);
    hand_out(self, (hand_t){.task_id = "t1", .attempt = 2});
    await_jobs(self, 2);
    job = self->jobs[1];
    kernel_worker_fail(self->worker, &job, "never", false);
    await_topic(self, "task.failed", 2);
    bool may_retry = true;
    cr_assert_eq(walk_find(latest(self, "task.failed")->body, "retry", &retry), BUS_OK);
    cr_assert_eq(walk_as_bool(retry, &may_retry), BUS_OK);
    cr_assert_not(may_retry);
    bench_destroy(&self);
}

Test(worker, renews_what_is_open_well_before_its_lease_is_over)
{
    bench_t *self = bench_new(4);
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1", .lease_seconds = 0.6});
    uint64_t before_ms = clock_boot_ms();
    await_topic(self, "task.renew", 4);
    cr_assert_lt(clock_boot_ms() - before_ms, 4 * 600, "four renewals take four leases");
    cr_assert_geq(clock_boot_ms() - before_ms, 600);
    const fake_record_t *record = latest(self, "task.renew");
    cr_assert(view_is(text_in(record, "task_id"), "t1"));
    cr_assert(view_is(text_in(record, "worker"), "w1"));
    cr_assert_eq(int_in(record, "attempt"), 1);
    kernel_worker_job_t *job = self->jobs[0];
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    kernel_worker_complete(self->worker, &job, result_of(out));
    await_topic(self, "task.completed", 1);
    size_t count = fake_broker_count_topic(self->broker, "task.renew");
    fake_run_for(self->loop, 700);
    cr_assert_eq(fake_broker_count_topic(self->broker, "task.renew"), count);
    bench_destroy(&self);
}

Test(worker, begins_no_more_than_its_slots_and_the_rest_when_there_is_room)
{
    bench_t *self = bench_new(2);
    await_topic(self, "task.worker.ready", 1);
    static const char *const names[] = {"t1", "t2", "t3", "t4"};
    for (size_t i = 0; i < 4; i++) {
        hand_out(self, (hand_t){.task_id = names[i]});
    }
    self->target = 4;
    cr_assert(fake_run(self->loop, has_open, self, WAIT_MS));
    fake_run_for(self->loop, 50);
    cr_assert_eq(self->count, 2);
    cr_assert_eq(kernel_worker_open(self->worker), 4);
    self->completes = true; // the third and the fourth, from within the end of the first
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    kernel_worker_job_t *job = self->jobs[0];
    kernel_worker_complete(self->worker, &job, result_of(out));
    cr_assert_eq(self->count, 4);
    cr_assert(view_is(self->jobs[1]->task_id, "t2"));
    cr_assert_eq(kernel_worker_open(self->worker), 1);
    await_topic(self, "task.completed", 3);
    bench_destroy(&self);
}

Test(worker, tells_its_end_until_it_is_durable_though_the_broker_dies)
{
    bench_t *self = bench_new(1);
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1"});
    await_jobs(self, 1);
    fake_broker_stop(self->broker);
    kernel_worker_job_t *job = self->jobs[0];
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    kernel_worker_complete(self->worker, &job, result_of(out));
    fake_run_for(self->loop, 50);
    fake_broker_start(self->broker);
    await_topic(self, "task.completed", 1);
    fake_run_for(self->loop, 100);
    cr_assert_eq(fake_broker_count_topic(self->broker, "task.completed"), 1);
    bench_destroy(&self);
}

Test(worker, tells_its_end_again_where_the_journal_was_full)
{
    bench_t *self = bench_new(1);
    self->completes = true;
    await_topic(self, "task.worker.ready", 1);
    fake_broker_faults(self->broker)->full_next = 2;
    hand_out(self, (hand_t){.task_id = "t1"});
    await_topic(self, "task.completed", 1);
    cr_assert_eq(self->count, 1);
    bench_destroy(&self);
}

Test(worker, says_ready_again_to_a_broker_that_came_back_and_hears_from_it)
{
    bench_t *self = bench_new(1);
    await_topic(self, "task.worker.ready", 1);
    fake_broker_stop(self->broker);
    fake_run_for(self->loop, 50);
    fake_broker_start(self->broker);
    await_topic(self, "task.worker.ready", 2);
    hand_out(self, (hand_t){.task_id = "t1"});
    await_jobs(self, 1);
    bench_destroy(&self);
}

Test(worker, says_ready_again_when_it_is_thought_to_be_gone_and_only_then)
{
    bench_t *self = bench_new(1);
    await_topic(self, "task.worker.ready", 1);
    header_t header = {.id = VIEW_LITERAL("g1"), .source = VIEW_LITERAL("htm")};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, 2);
    pack_pair_text(out, "worker", "w1");
    pack_pair_text(out, "instance", "an earlier one");
    fake_broker_publish(self->broker, "task.worker.gone", &header, pack_view(out));
    fake_run_for(self->loop, 200);
    cr_assert_eq(fake_broker_count_topic(self->broker, "task.worker.ready"), 1);
    pack_clear(out);
    pack_map(out, 2);
    pack_pair_text(out, "worker", "w1");
    pack_pair_text(out, "instance", client_instance(self->client));
    fake_broker_publish(self->broker, "task.worker.gone", &header, pack_view(out));
    await_topic(self, "task.worker.ready", 2);
    bench_destroy(&self);
}

Test(worker, says_that_it_goes_and_leaves_the_client_to_its_owner)
{
    bench_t *self = bench_new(1);
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1"});
    await_jobs(self, 1);
    kernel_worker_destroy(&self->worker);
    cr_assert_null(self->worker);
    await_topic(self, "task.worker.gone", 1);
    const fake_record_t *record = latest(self, "task.worker.gone");
    cr_assert(view_is(text_in(record, "instance"), client_instance(self->client)));
    // What comes for it now is nobody's.
    hand_out(self, (hand_t){.task_id = "t2"});
    fake_run_for(self->loop, 50);
    cr_assert_eq(self->count, 1);
    // Another takes its place on the same client.
    start_worker(self, 1);
    await_topic(self, "task.worker.ready", 2);
    hand_out(self, (hand_t){.task_id = "t3"});
    await_jobs(self, 2);
    bench_destroy(&self);
}

Test(worker, fails_a_task_whose_result_is_larger_than_the_queue_takes)
{
    bench_t *self = bench_new(1);
    await_topic(self, "task.worker.ready", 1);
    hand_out(self, (hand_t){.task_id = "t1"});
    await_jobs(self, 1);
    static char text[70000];
    memset(text, 'x', sizeof text - 1);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, 1);
    pack_pair_text(out, "text", text);
    kernel_worker_job_t *job = self->jobs[0];
    kernel_worker_complete(self->worker, &job, pack_view(out));
    cr_assert_null(job);
    await_topic(self, "task.failed", 1);
    bench_destroy(&self);
}
