// worker.c - see worker.h.
//
// A task is handed over by a live message, so it is announced only that a worker is ready once it
// is sure to hear: it says a word to itself on a topic that it subscribed to last, and when that
// comes back every earlier subscription stands too (a SUB's reach the broker in order). The same
// after each welcome, since a new connection subscribes anew.
//
// What ended is kept until HTM's journal has it, and a while longer: a task that is handed out once
// more because the word was on its way is answered from there.
#include "worker.h"

#include "proto/schema.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "worker_done.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    IDLE_MS = 1000,         // how often it looks whether the broker is another
    PROBE_MS = 50,          // for its own word to come back, before it says it again
    RENEWS_A_LEASE = 3,     // two may be lost
    RENEW_MIN_MS = 15,      // of the shortest lease that HTM gives, 50 ms
    RENEW_MAX_MS = 60000,   // often enough for any
    WAITING_MAX = 1024,     // handed out beyond our slots: HTM forgot some of ours (cancelled)
    TOPIC_SIZE = 256,       // the longest that the bus takes, with its NUL
    RESULT_SIZE_MAX = 65536 // task.completed's
};

typedef struct entry {
    kernel_worker_job_t job; // first: what is handed out is this address
    struct entry *next;      // handed to us later
    char *bytes;             // what the job's views point into
    bool is_begun;
    uint64_t renew_ms; // boot clock: when its lease is renewed
    unsigned every_ms; // between two renewals
} entry_t;

struct kernel_worker {
    loop_t *loop;     // borrowed
    client_t *client; // borrowed
    char *name;
    char *handlers[KERNEL_WORKER_HANDLERS_MAX];
    size_t handler_count;
    unsigned slots;
    kernel_worker_fn *fn;
    void *arg;

    entry_t *first;   // what is open, the oldest first
    size_t count;     // of it
    size_t begun;     // of those: what is open for its owner
    bool is_starting; // begin_next is at work: what it starts may end at once
    kernel_worker_done_t *done;

    char probe_topic[TOPIC_SIZE];
    bool is_probing;         // listens for its own word
    uint64_t probe_ms;       // boot clock: when it is said again; 0: its ack is awaited
    uint64_t probe_call;     // 0: none
    uint64_t ready_call;     // 0: none
    uint64_t ready_welcomes; // how many there had been when it said that it is ready
    bool is_ready;           // said, and durable
    int timer;               // the next look
    pack_t *body;            // scratch
};

static uint64_t
welcomes(const kernel_worker_t *self)
{
    client_stats_t stats;
    client_stats(self->client, &stats);
    return stats.welcomes;
}

// --- Time ----------------------------------------------------------------------------------------

static void look(void *arg);

static void
look_at(kernel_worker_t *self, uint64_t due_ms)
{
    uint64_t now_ms = clock_boot_ms();
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
    }
    unsigned wait_ms = due_ms > now_ms ? (unsigned) (due_ms - now_ms) : 0;
    self->timer = loop_add_timer(self->loop, wait_ms, 1, look, self);
}

static void
plan_look(kernel_worker_t *self)
{
    uint64_t due_ms = clock_boot_ms() + IDLE_MS;
    for (const entry_t *entry = self->first; entry != NULL; entry = entry->next) {
        due_ms = entry->renew_ms < due_ms ? entry->renew_ms : due_ms;
    }
    if (self->probe_ms != 0 && self->probe_ms < due_ms) {
        due_ms = self->probe_ms;
    }
    look_at(self, due_ms);
}

// --- Being heard of ------------------------------------------------------------------------------

static void probe(kernel_worker_t *self);

static void
on_ready_answer(void *arg, const client_answer_t *answer)
{
    kernel_worker_t *self = arg;
    self->ready_call = 0;
    self->is_ready = answer->event == CLIENT_ACKED;
    if (!self->is_ready) {
        log_warning("worker_not_ready", "name=%s error=%s", self->name, error_text(answer->err));
    }
}

static void
say_ready(kernel_worker_t *self)
{
    pack_clear(self->body);
    pack_map(self->body, 4);
    pack_pair_text(self->body, "worker", self->name);
    pack_pair_text(self->body, "instance", client_instance(self->client));
    pack_text(self->body, "handlers");
    pack_array(self->body, (uint32_t) self->handler_count);
    for (size_t i = 0; i < self->handler_count; ++i) {
        pack_text(self->body, self->handlers[i]);
    }
    pack_pair_uint(self->body, "slots", self->slots);
    if (self->ready_call != 0) {
        client_cancel(self->client, self->ready_call);
        self->ready_call = 0;
    }
    client_message_t message = {
        .topic = "task.worker.ready", .body = pack_view(self->body), .want = CLIENT_WANT_ACK};
    bus_err_t err = client_send(self->client, &message, on_ready_answer, self, &self->ready_call);
    self->ready_welcomes = welcomes(self);
    if (err != BUS_OK) {
        self->ready_call = 0;
        self->is_ready = false; // look tries again
    }
}

static void
on_probe_heard(void *arg, const client_heard_t *heard BUS_UNUSED)
{
    kernel_worker_t *self = arg;
    if (!self->is_probing) {
        return; // an earlier one, that was late
    }
    self->is_probing = false;
    self->probe_ms = 0;
    say_ready(self);
}

static void
on_probe_answer(void *arg, const client_answer_t *answer)
{
    kernel_worker_t *self = arg;
    self->probe_call = 0;
    if (self->is_probing && answer->err != BUS_ABORTED) {
        self->probe_ms = clock_boot_ms() + PROBE_MS;
        plan_look(self);
    }
}

// The ack is awaited so that it is kept until there is a broker.
static void
probe(kernel_worker_t *self)
{
    self->is_probing = true;
    self->probe_ms = 0;
    if (self->probe_call != 0) {
        return;
    }
    client_message_t message = {
        .topic = self->probe_topic, .body = PACK_EMPTY_MAP, .want = CLIENT_WANT_ACK};
    if (client_send(self->client, &message, on_probe_answer, self, &self->probe_call) != BUS_OK) {
        self->probe_call = 0;
        self->probe_ms = clock_boot_ms() + PROBE_MS;
    }
}

void
kernel_worker_announce(kernel_worker_t *self)
{
    self->is_ready = false;
    self->ready_welcomes = welcomes(self);
    probe(self);
    plan_look(self);
}

// HTM thinks that we are gone: it lost sight of us, and gave our tasks to others.
static void
on_gone(void *arg, const client_heard_t *heard)
{
    kernel_worker_t *self = arg;
    schema_task_worker_gone_t gone;
    schema_problems_t problems;
    if (schema_decode(&SCHEMA_task_worker_gone, heard->body, &gone, &problems) != BUS_OK ||
        !view_is(gone.worker, self->name)) {
        return;
    }
    if (gone.instance.data == NULL || view_is(gone.instance, client_instance(self->client))) {
        log_info("worker_thought_gone", "name=%s", self->name);
        kernel_worker_announce(self);
    }
}

// --- Jobs ----------------------------------------------------------------------------------------

static entry_t *
find_entry(const kernel_worker_t *self, bus_view_t task_id)
{
    for (entry_t *entry = self->first; entry != NULL; entry = entry->next) {
        if (view_equal(entry->job.task_id, task_id)) {
            return entry;
        }
    }
    return NULL;
}

static void
set_lease(entry_t *entry, double lease_seconds)
{
    double every = lease_seconds * 1000 / RENEWS_A_LEASE;
    entry->every_ms = every < RENEW_MIN_MS   ? RENEW_MIN_MS
                      : every > RENEW_MAX_MS ? RENEW_MAX_MS
                                             : (unsigned) every;
    entry->renew_ms = clock_boot_ms() + entry->every_ms;
}

static void
add_entry(kernel_worker_t *self, const schema_task_execute_t *task, bus_view_t trace_id)
{
    const bus_view_t values[] = {
        task->task_id, task->task_type, task->handler, task->priority, task->context, trace_id};
    size_t size = 1; // where all are empty
    for (size_t i = 0; i < sizeof values / sizeof values[0]; ++i) {
        size += values[i].size;
    }
    entry_t *entry = calloc(1, sizeof *entry);
    assert(entry);
    entry->bytes = malloc(size);
    assert(entry->bytes);
    char *at = entry->bytes;
    entry->job = (kernel_worker_job_t){
        .task_id = view_keep(task->task_id, &at),
        .task_type = view_keep(task->task_type, &at),
        .handler = view_keep(task->handler, &at),
        .priority = view_keep(task->priority, &at),
        .context = view_keep(task->context, &at),
        .trace_id = view_keep(trace_id, &at),
        .attempt = (uint64_t) task->attempt.value,
    };
    set_lease(entry, task->lease_seconds.value);
    entry_t **end = &self->first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = entry;
    ++self->count;
}

static void
remove_entry(kernel_worker_t *self, entry_t *entry)
{
    entry_t **at = &self->first;
    while (*at != entry) {
        assert(*at != NULL); // its job is ours, and open
        at = &(*at)->next;
    }
    *at = entry->next;
    --self->count;
    self->begun -= entry->is_begun ? 1 : 0;
    free(entry->bytes);
    free(entry);
}

static entry_t *
next_waiting(const kernel_worker_t *self)
{
    for (entry_t *entry = self->first; entry != NULL; entry = entry->next) {
        if (!entry->is_begun) {
            return entry;
        }
    }
    return NULL;
}

// Not nested: a job that ends while it is begun makes room that is seen here.
static void
begin_next(kernel_worker_t *self)
{
    if (self->is_starting) {
        return;
    }
    self->is_starting = true;
    while (self->begun < self->slots) {
        entry_t *entry = next_waiting(self);
        if (entry == NULL) {
            break;
        }
        entry->is_begun = true;
        ++self->begun;
        self->fn(self->arg, &entry->job);
    }
    self->is_starting = false;
}

static void
on_execute(void *arg, const client_heard_t *heard)
{
    kernel_worker_t *self = arg;
    schema_task_execute_t task;
    schema_problems_t problems;
    if (!view_is(heard->header.source, "htm")) {
        return; // nobody else hands out work: it would go past the queue and governance
    }
    if (schema_decode(&SCHEMA_task_execute, heard->body, &task, &problems) != BUS_OK) {
        log_warning("task_not_taken", "name=%s why=malformed", self->name);
        return;
    }
    if (!view_is(task.worker, self->name)) {
        return;
    }
    uint64_t attempt = (uint64_t) task.attempt.value;
    entry_t *entry = find_entry(self, task.task_id);
    if (entry != NULL) {
        // The same, or ours again after its lease was thought to be over.
        entry->job.attempt = attempt > entry->job.attempt ? attempt : entry->job.attempt;
        set_lease(entry, task.lease_seconds.value);
    } else if (kernel_worker_done_tell_again(self->done, task.task_id, attempt)) {
        return;
    } else if (self->count >= self->slots + WAITING_MAX || kernel_worker_done_is_full(self->done)) {
        log_warning("task_not_taken", "name=%s why=full open=%zu", self->name, self->count);
        return;
    } else {
        add_entry(self, &task, heard->header.trace_id);
    }
    plan_look(self); // before it may end
    begin_next(self);
}

static void
renew(kernel_worker_t *self, entry_t *entry, uint64_t now_ms)
{
    entry->renew_ms = now_ms + entry->every_ms;
    pack_clear(self->body);
    pack_map(self->body, 3);
    pack_pair_str(self->body, "task_id", entry->job.task_id);
    pack_pair_uint(self->body, "attempt", entry->job.attempt);
    pack_pair_text(self->body, "worker", self->name);
    client_message_t message = {
        .topic = "task.renew", .body = pack_view(self->body), .trace_id = entry->job.trace_id};
    // One that is lost is followed by another.
    if (client_is_connected(self->client) &&
        client_send(self->client, &message, NULL, NULL, NULL) != BUS_OK) {
        log_debug("lease_not_renewed", "name=%s", self->name);
    }
}

static void
look(void *arg)
{
    kernel_worker_t *self = arg;
    self->timer = 0;
    uint64_t now_ms = clock_boot_ms();
    for (entry_t *entry = self->first; entry != NULL; entry = entry->next) {
        if (entry->renew_ms <= now_ms) {
            renew(self, entry, now_ms);
        }
    }
    kernel_worker_done_tell_rest(self->done);
    bool is_said = self->is_ready || self->ready_call != 0 || self->is_probing;
    bool is_other = welcomes(self) != self->ready_welcomes;
    if (self->probe_ms != 0 && self->probe_ms <= now_ms) {
        probe(self);
    } else if (!is_said || (is_other && !self->is_probing)) {
        self->is_ready = false;
        probe(self);
    }
    plan_look(self);
}

// --- Endings -------------------------------------------------------------------------------------

static void
end(kernel_worker_t *self, kernel_worker_job_t **job_p, bool is_failure)
{
    entry_t *entry = (entry_t *) *job_p;
    *job_p = NULL;
    assert(entry->is_begun);
    kernel_worker_done_add(self->done, &entry->job, is_failure, pack_view(self->body));
    remove_entry(self, entry);
    begin_next(self);
}

void
kernel_worker_fail(kernel_worker_t *self,
                   kernel_worker_job_t **job_p,
                   const char *error,
                   bool retry)
{
    enum { ERROR_SIZE_MAX = 1024 }; // task.failed's
    const kernel_worker_job_t *job = *job_p;
    bus_view_t text = view_from_text(error[0] == '\0' ? "it did not say why" : error);
    text.size = text.size > ERROR_SIZE_MAX ? ERROR_SIZE_MAX : text.size;
    text.size = walk_utf8_size(text);
    pack_clear(self->body);
    pack_map(self->body, retry ? 4 : 5);
    pack_pair_str(self->body, "task_id", job->task_id);
    pack_pair_uint(self->body, "attempt", job->attempt);
    pack_pair_text(self->body, "worker", self->name);
    pack_pair_str(self->body, "error", text);
    if (!retry) {
        pack_pair_bool(self->body, "retry", false);
    }
    end(self, job_p, true);
}

void
kernel_worker_complete(kernel_worker_t *self, kernel_worker_job_t **job_p, bus_view_t result)
{
    const kernel_worker_job_t *job = *job_p;
    if (result.size > RESULT_SIZE_MAX) {
        kernel_worker_fail(self, job_p, "its result is larger than 64 KiB", false);
        return;
    }
    pack_clear(self->body);
    pack_map(self->body, 4);
    pack_pair_str(self->body, "task_id", job->task_id);
    pack_pair_uint(self->body, "attempt", job->attempt);
    pack_pair_text(self->body, "worker", self->name);
    pack_pair_raw(self->body, "result", result);
    end(self, job_p, false);
}

size_t
kernel_worker_open(const kernel_worker_t *self)
{
    return self->count;
}

// --- Life ----------------------------------------------------------------------------------------

static char *
copy_text(const char *text)
{
    char *copy = strdup(text);
    assert(copy);
    return copy;
}

static void
subscribe(kernel_worker_t *self, const char *pattern, client_heard_fn *fn)
{
    bus_err_t err = client_subscribe(self->client, pattern, fn, self);
    assert(err == BUS_OK); // names are ours, and few
}

kernel_worker_t *
kernel_worker_new(loop_t *loop, client_t *client, const kernel_worker_options_t *options)
{
    assert(options->handler_count > 0 && options->handler_count <= KERNEL_WORKER_HANDLERS_MAX);
    assert(options->slots > 0 && options->slots <= KERNEL_WORKER_SLOTS_MAX);
    kernel_worker_t *self = calloc(1, sizeof *self);
    assert(self);
    self->loop = loop;
    self->client = client;
    self->name = copy_text(options->name);
    self->slots = options->slots;
    self->fn = options->fn;
    self->arg = options->arg;
    self->body = pack_new();
    self->done = kernel_worker_done_new(client, options->slots + WAITING_MAX);
    for (size_t i = 0; i < options->handler_count; ++i) {
        char topic[TOPIC_SIZE];
        self->handlers[self->handler_count++] = copy_text(options->handlers[i]);
        snprintf(topic, sizeof topic, "task.execute.%s", options->handlers[i]);
        subscribe(self, topic, on_execute);
    }
    subscribe(self, "task.worker.gone", on_gone);
    snprintf(self->probe_topic,
             sizeof self->probe_topic,
             "htm.listening.%s.%s",
             self->name,
             client_instance(client));
    subscribe(self, self->probe_topic, on_probe_heard); // last: see above
    kernel_worker_announce(self);
    return self;
}

static void
say_gone(kernel_worker_t *self)
{
    pack_clear(self->body);
    pack_map(self->body, 3);
    pack_pair_text(self->body, "worker", self->name);
    pack_pair_text(self->body, "instance", client_instance(self->client));
    pack_pair_text(self->body, "reason", "stopped");
    client_message_t message = {.topic = "task.worker.gone", .body = pack_view(self->body)};
    if (client_is_connected(self->client) &&
        client_send(self->client, &message, NULL, NULL, NULL) != BUS_OK) {
        log_debug("worker_bye", "name=%s", self->name); // HTM sees its instance go
    }
}

void
kernel_worker_destroy(kernel_worker_t **self_p)
{
    kernel_worker_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    client_unsubscribe(self->client, self);
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
    }
    if (self->probe_call != 0) {
        client_cancel(self->client, self->probe_call);
    }
    if (self->ready_call != 0) {
        client_cancel(self->client, self->ready_call);
    }
    while (self->first != NULL) {
        remove_entry(self, self->first);
    }
    kernel_worker_done_destroy(&self->done);
    say_gone(self);
    for (size_t i = 0; i < self->handler_count; ++i) {
        free(self->handlers[i]);
    }
    pack_destroy(&self->body);
    free(self->name);
    free(self);
    *self_p = NULL;
}
