// stress_load.c - see stress_load.h.
//
// The first tasks are put in before there is a worker, so that there is an order to keep from the
// start; the others while they work. A task counts as over when the queue says so. At the end the
// first task is put in ten more times, and ten more times said to be completed: nothing of that may
// change what the queue counts, but its count of duplicates.
#include "stress_load.h"

#include "proto/walk.h"
#include "runtime/clock.h"
#include "stress_worker.h"

#include <assert.h>
#include <stdio.h>

enum {
    WELCOME_MS = 5000,
    WINDOW = 2000,      // tasks on their way
    BACKLOG_MAX = 1000, // tasks that are there before the workers; of few: half of them
    LOOK_MS = 50,       // between two looks at the queue
    PACE_MS = 2,        // between two looks at what is to be sent, with a rate
    SAMPLE_MS = 1000,   // between two that are kept
    STUCK_MS = 90000,   // without a task that ends: longer than a lease, and a peer's last sign
    DUPLICATES = 10,    // of each kind
    ANSWER_MS = 10000,
    TASK_ID_SIZE = 32
};

static const char *const priorities[] = {"critical", "high", "normal", "low"};

typedef enum { PHASE_BACKLOG, PHASE_LOAD, PHASE_DUPLICATES, PHASE_LAST_LOOK } phase_t;

// What the queue said of itself.
typedef struct {
    uint64_t depth, running; // depth with those that run
    uint64_t queued, over, duplicates;
} status_t;

typedef struct {
    const cli_stress_load_t *load;
    cli_stress_loaded_t *result;
    cli_connect_t *connect;
    cli_stress_workers_t *workers;
    pack_t *body;
    phase_t phase;
    uint64_t random;                         // of the drill's seed
    uint64_t sent, acked;                    // tasks
    uint64_t repeats_left;                   // of the duplicates
    bool is_looking;                         // an answer is awaited
    status_t before;                         // the duplicates
    uint64_t began_ms, moved_ms, sampled_ms; // boot clock
    uint64_t last_over;
    uint64_t next_kill; // tasks that are over by then
    double depth_sum;
} loading_t;

static void send_more(loading_t *self);

// SplitMix64 (Steele, Lea, Flood 2014): the same seed, the same load.
static uint64_t
next_random(loading_t *self)
{
    uint64_t z = self->random += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static void
fail(loading_t *self, int status)
{
    cli_connect_end(self->connect, status);
}

// --- Tasks -------------------------------------------------------------------------------------

static void
pack_task(loading_t *self, uint64_t number, const char *priority, const char *handler)
{
    char id[TASK_ID_SIZE];
    snprintf(id, sizeof id, "load_%llu", (unsigned long long) number);
    const cli_stress_htm_t *htm = self->load->htm;
    pack_clear(self->body);
    pack_map(self->body, htm->sla_ms > 0 ? 6 : 5);
    pack_pair_text(self->body, "task_id", id);
    pack_pair_text(self->body, "task_type", "stress_task");
    pack_pair_text(self->body, "handler", handler);
    pack_pair_text(self->body, "priority", priority);
    pack_pair_text(self->body, "requester_id", "bhiv_stress");
    if (htm->sla_ms > 0) {
        pack_pair_real(self->body, "sla_seconds", (double) htm->sla_ms / 1e3);
    }
}

static uint64_t
backlog(const loading_t *self)
{
    const cli_stress_htm_t *htm = self->load->htm;
    uint64_t half = htm->rate > 0 ? 0 : htm->tasks / 2;
    return half < BACKLOG_MAX ? half : BACKLOG_MAX;
}

static int
start_workers(loading_t *self)
{
    const cli_stress_htm_t *htm = self->load->htm;
    const cli_stress_workers_options_t options = {.instance = self->load->instance,
                                                  .count = (unsigned) htm->workers,
                                                  .slots = (unsigned) htm->slots,
                                                  .work_ms = (unsigned) htm->work_ms};
    self->workers = cli_stress_workers_new(&options);
    self->phase = PHASE_LOAD;
    return self->workers == NULL ? CLI_IO : CLI_DONE;
}

static void
on_enqueued(void *arg, const client_answer_t *answer)
{
    loading_t *self = arg;
    if (answer->err == BUS_ABORTED) {
        return;
    }
    ++self->acked;
    self->result->refused += answer->err != BUS_OK;
    if (self->phase == PHASE_BACKLOG && self->acked >= backlog(self)) {
        int status = start_workers(self);
        if (status != CLI_DONE) {
            fail(self, status);
            return;
        }
    }
    if (self->acked == self->load->htm->tasks) {
        self->result->enqueue_seconds = (double) (clock_boot_ms() - self->began_ms) / 1e3;
    }
    send_more(self);
}

// How many tasks may have been put in by now.
static uint64_t
target_now(const loading_t *self)
{
    const cli_stress_htm_t *htm = self->load->htm;
    uint64_t target = self->phase == PHASE_BACKLOG ? backlog(self) : htm->tasks;
    if (htm->rate > 0) {
        uint64_t due = (clock_boot_ms() - self->began_ms) * htm->rate / 1000 + 1;
        target = due < target ? due : target;
    }
    return target;
}

static void
send_more(loading_t *self)
{
    uint64_t target = target_now(self);
    if (self->sent >= target || self->sent - self->acked > WINDOW / 2) {
        return; // in runs: each message that is sent by itself wakes a thread, here and there
    }
    client_hold(self->connect->client);
    while (self->sent < target && self->sent - self->acked < WINDOW) {
        const char *priority = priorities[next_random(self) % 4];
        const char *handler =
            cli_stress_worker_handlers[next_random(self) % CLI_STRESS_WORKER_HANDLERS];
        pack_task(self, self->sent, priority, handler);
        const client_message_t message = {
            .topic = "task.enqueue", .body = pack_view(self->body), .want = CLIENT_WANT_ACK};
        bus_err_t err = client_send(self->connect->client, &message, on_enqueued, self, NULL);
        if (err != BUS_OK) {
            fail(self, cli_fail(cli_exit_of(err), "task.enqueue: %s", error_meaning(err)));
            break;
        }
        ++self->sent;
    }
    client_release(self->connect->client);
}

// --- Duplicates --------------------------------------------------------------------------------

static void
on_repeated(void *arg, const client_answer_t *answer)
{
    loading_t *self = arg;
    if (answer->err == BUS_ABORTED || answer->event == CLIENT_ACKED) {
        return;
    }
    if (--self->repeats_left == 0) {
        self->phase = PHASE_LAST_LOOK; // the last of them was applied
    }
}

static void
on_said(void *arg BUS_UNUSED, const client_answer_t *answer BUS_UNUSED)
{
}

// The completions first: they are applied before the tasks, whose answers are awaited.
static void
send_duplicates(loading_t *self)
{
    self->phase = PHASE_DUPLICATES;
    self->repeats_left = DUPLICATES;
    for (int i = 0; i < 2 * DUPLICATES; ++i) {
        bool is_task = i >= DUPLICATES;
        if (is_task) {
            pack_task(self, 0, priorities[0], cli_stress_worker_handlers[0]);
        } else {
            pack_clear(self->body);
            pack_map(self->body, 3);
            pack_pair_text(self->body, "task_id", "load_0");
            pack_pair_uint(self->body, "attempt", 1);
            pack_pair_text(self->body, "worker", "drill_1");
        }
        const client_message_t message = {
            .topic = is_task ? "task.enqueue" : "task.completed",
            .body = pack_view(self->body),
            .want = is_task ? CLIENT_WANT_ACK | CLIENT_WANT_REPLY : CLIENT_WANT_ACK,
            .timeout_ms = ANSWER_MS,
        };
        bus_err_t err = client_send(
            self->connect->client, &message, is_task ? on_repeated : on_said, self, NULL);
        if (err != BUS_OK) {
            fail(self, cli_fail(cli_exit_of(err), "%s: %s", message.topic, error_meaning(err)));
            return;
        }
    }
    self->result->duplicates_sent = 2 * (uint64_t) DUPLICATES;
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    pack_map(fields, 1);
    pack_pair_uint(fields, "sent", self->result->duplicates_sent);
    cli_stress_run_event(
        self->load->run, "test.duplicate.event", "Duplicate events sent", pack_view(fields));
}

static void
count_ignored(loading_t *self, const status_t *now)
{
    uint64_t completions = now->duplicates - self->before.duplicates;
    uint64_t new_tasks = now->queued - self->before.queued;
    uint64_t changed = now->over - self->before.over;
    uint64_t tasks = new_tasks + changed >= DUPLICATES ? 0 : DUPLICATES - new_tasks - changed;
    self->result->duplicates_ignored = completions + tasks;
}

// --- Looking at the queue ----------------------------------------------------------------------

static void
keep_sample(loading_t *self, const status_t *now)
{
    char at[CLI_STRESS_TIME_SIZE];
    cli_stress_run_now(at);
    cli_stress_loaded_t *result = self->result;
    self->sampled_ms = clock_boot_ms();
    self->depth_sum += (double) now->depth;
    ++result->samples;
    result->mean_depth = self->depth_sum / (double) result->samples;
    result->max_depth = now->depth > result->max_depth ? now->depth : result->max_depth;
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    pack_map(fields, 4);
    pack_pair_uint(fields, "queue_depth", now->depth);
    pack_pair_uint(fields, "running", now->running);
    pack_pair_uint(fields, "over", now->over);
    pack_pair_uint(fields, "workers_killed", result->killed);
    cli_stress_run_event(
        self->load->run, "htm.load.sample", "Sample of the queue", pack_view(fields));
}

// At even steps of progress, with a random worker each; every second one comes back under a new
// name.
static int
kill_when_due(loading_t *self, uint64_t over)
{
    const cli_stress_htm_t *htm = self->load->htm;
    int status = CLI_DONE;
    while (status == CLI_DONE && self->result->killed < htm->kills && over >= self->next_kill &&
           over < htm->tasks) {
        unsigned which = (unsigned) (next_random(self) % htm->workers);
        bool same_name = self->result->killed % 2 == 0;
        status = cli_stress_workers_kill(self->workers, which, same_name);
        ++self->result->killed;
        self->next_kill = htm->tasks * (self->result->killed + 1) / (htm->kills + 1);
    }
    return status;
}

static void
take_status(loading_t *self, const status_t *now)
{
    const cli_stress_htm_t *htm = self->load->htm;
    uint64_t now_ms = clock_boot_ms();
    if (now->over != self->last_over) {
        self->last_over = now->over;
        self->moved_ms = now_ms;
    }
    if (self->workers != NULL &&
        (self->result->samples == 0 || now_ms - self->sampled_ms >= SAMPLE_MS)) {
        keep_sample(self, now);
    }
    char what[64];
    snprintf(what, sizeof what, "%llu waiting or running", (unsigned long long) now->depth);
    cli_stress_run_progress(self->load->run, now->over, htm->tasks, what);
    int status = self->phase == PHASE_LOAD ? kill_when_due(self, now->over) : CLI_DONE;
    if (self->phase == PHASE_LAST_LOOK) {
        count_ignored(self, now);
        fail(self, CLI_DONE);
    } else if (self->phase == PHASE_LOAD && now->over + self->result->refused >= htm->tasks &&
               self->acked == htm->tasks) {
        self->before = *now;
        send_duplicates(self);
    } else if (now_ms - self->moved_ms > STUCK_MS) {
        status = cli_fail(CLI_TIMED_OUT,
                          "%llu of %llu tasks are over, and nothing moves any more",
                          (unsigned long long) now->over,
                          (unsigned long long) htm->tasks);
    }
    if (status != CLI_DONE) {
        fail(self, status);
    }
}

static void
on_status(void *arg, const client_answer_t *answer)
{
    loading_t *self = arg;
    if (answer->err == BUS_ABORTED) {
        return;
    }
    self->is_looking = false;
    if (answer->err != BUS_OK) {
        return; // at its start, or while it is busy: the next look
    }
    bus_view_t body = answer->body;
    status_t now = {.running = walk_uint_at(body, "queue_sizes.running", 0),
                    .queued = walk_uint_at(body, "statistics.tasks_queued", 0),
                    .duplicates = walk_uint_at(body, "statistics.duplicates", 0)};
    now.depth =
        now.running + walk_uint_at(body, "queue_sizes.critical", 0) +
        walk_uint_at(body, "queue_sizes.high", 0) + walk_uint_at(body, "queue_sizes.normal", 0) +
        walk_uint_at(body, "queue_sizes.low", 0) + walk_uint_at(body, "queue_sizes.held", 0);
    now.over = walk_uint_at(body, "statistics.tasks_completed", 0) +
               walk_uint_at(body, "statistics.tasks_failed", 0) +
               walk_uint_at(body, "statistics.tasks_cancelled", 0);
    take_status(self, &now);
}

static void
look(void *arg)
{
    loading_t *self = arg;
    if (self->is_looking) {
        return;
    }
    const client_message_t message = {.topic = "req.htm.status",
                                      .body = PACK_EMPTY_MAP,
                                      .want = CLIENT_WANT_REPLY,
                                      .timeout_ms = ANSWER_MS};
    self->is_looking =
        client_send(self->connect->client, &message, on_status, self, NULL) == BUS_OK;
}

static void
on_pace(void *arg)
{
    send_more(arg);
}

static void
begin(void *arg, cli_connect_t *connect)
{
    loading_t *self = arg;
    self->connect = connect;
    self->began_ms = self->moved_ms = clock_boot_ms();
    loop_add_timer(connect->loop, LOOK_MS, 0, look, self);
    if (backlog(self) == 0 && start_workers(self) != CLI_DONE) {
        fail(self, CLI_IO);
        return;
    }
    if (self->load->htm->rate > 0) {
        loop_add_timer(connect->loop, PACE_MS, 0, on_pace, self);
    }
    send_more(self);
}

int
cli_stress_load_run(const cli_stress_load_t *load, cli_stress_loaded_t *ret_loaded)
{
    *ret_loaded = (cli_stress_loaded_t){0};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    const cli_stress_htm_t *htm = load->htm;
    loading_t self = {.load = load,
                      .result = ret_loaded,
                      .body = body,
                      .random = htm->seed,
                      .next_kill = htm->tasks / (htm->kills + 1)};
    const cli_place_t place = {.ingress = cli_stress_instance_ingress(load->instance),
                               .egress = cli_stress_instance_egress(load->instance)};
    const cli_connect_options_t options = {
        .place = &place,
        .source = "bhiv_stress",
        .timeout_ms = WELCOME_MS,
        .ready = begin,
        .arg = &self,
    };
    int status = cli_connect_run(&options);
    if (self.workers != NULL) {
        ret_loaded->spawned = cli_stress_workers_spawned(self.workers);
        cli_stress_workers_destroy(&self.workers);
    }
    return status;
}
