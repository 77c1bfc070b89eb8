// stress_task.c - see stress_task.h.
#include "stress_task.h"

#include "proto/walk.h"

#include <assert.h>
#include <stdlib.h>

enum {
    WELCOME_MS = 5000,
    WAIT_MS = 1000, // of one fetch
    WINDOW = 64     // task.enqueue on their way
};

typedef struct waiting waiting_t;

typedef struct {
    waiting_t *owner;
    cli_stress_task_t *task;
} one_t;

struct waiting {
    const cli_stress_tasks_t *tasks;
    cli_connect_t *connect;
    one_t *ones;
    size_t sent;
    size_t unanswered; // that were sent
    size_t left;       // that are not over
    uint64_t next;     // seq to fetch from
};

static void on_page(void *arg, const client_page_t *page);
static void send_more(waiting_t *self);

// One less to wait for.
static void
count_over(waiting_t *self)
{
    --self->left;
    if (self->tasks->progress != NULL) {
        self->tasks->progress(self->tasks->arg, self->tasks->count - self->left);
    }
    if (self->left == 0) {
        cli_connect_end(self->connect, CLI_DONE);
    }
}

static void
on_enqueued(void *arg, const client_answer_t *answer)
{
    one_t *one = arg;
    waiting_t *self = one->owner;
    if (answer->err == BUS_ABORTED) {
        return;
    }
    if (answer->at != 0) {
        one->task->queued = answer->at;
    }
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    --self->unanswered;
    one->task->err = answer->err;
    if (answer->err != BUS_OK) {
        count_over(self);
    }
    send_more(self);
}

static void
send_more(waiting_t *self)
{
    while (self->sent < self->tasks->count && self->unanswered < WINDOW) {
        one_t *one = &self->ones[self->sent];
        const client_message_t message = {
            .topic = "task.enqueue",
            .body = one->task->body,
            .want = CLIENT_WANT_ACK | CLIENT_WANT_REPLY,
            .timeout_ms = self->tasks->timeout_ms,
        };
        bus_err_t err = client_send(self->connect->client, &message, on_enqueued, one, NULL);
        if (err != BUS_OK) {
            cli_connect_end(self->connect,
                            cli_fail(CLI_NO_ANSWER, "task.enqueue: %s", error_meaning(err)));
            return;
        }
        ++self->sent;
        ++self->unanswered;
    }
}

static void
fetch(waiting_t *self)
{
    static const char *const filters[] = {"task.done"};
    const client_fetch_t wanted = {.consumer = client_instance(self->connect->client),
                                   .filters = filters,
                                   .filter_count = 1,
                                   .from = self->next,
                                   .wait_ms = WAIT_MS};
    bus_err_t err = client_fetch(self->connect->client, &wanted, on_page, self);
    if (err != BUS_OK) {
        cli_connect_end(self->connect, cli_fail(CLI_NO_ANSWER, "fetch: %s", error_meaning(err)));
    }
}

static void
take_done(waiting_t *self, const client_heard_t *record)
{
    bus_view_t value, id;
    if (walk_find(record->body, "task_id", &value) != BUS_OK || walk_as_str(value, &id) != BUS_OK) {
        return;
    }
    for (size_t i = 0; i < self->tasks->count; ++i) {
        cli_stress_task_t *task = &self->tasks->tasks[i];
        if (view_is(id, task->id) && pack_view(task->done).size == 0) {
            pack_raw(task->done, record->body);
            task->done_at = record->header.at;
            count_over(self);
        }
    }
}

static void
on_page(void *arg, const client_page_t *page)
{
    waiting_t *self = arg;
    if (page->err == BUS_ABORTED) {
        return;
    }
    if (page->err == BUS_OK) {
        client_records_t records = client_records(page);
        client_heard_t record;
        while (client_next_record(&records, &record) == BUS_OK) {
            take_done(self, &record);
        }
        self->next = page->next;
    } else if (page->err != BUS_TIMEOUT) {
        cli_connect_end(self->connect,
                        cli_fail(CLI_NO_ANSWER, "fetch: %s", error_meaning(page->err)));
        return;
    }
    if (self->left > 0) {
        fetch(self);
    }
}

static void
on_late(void *arg)
{
    waiting_t *self = arg;
    cli_connect_end(self->connect, CLI_DONE); // each task says that it was not over
}

static void
begin(void *arg, cli_connect_t *connect)
{
    waiting_t *self = arg;
    self->connect = connect;
    self->next = client_head(connect->client) + 1;
    loop_add_timer(connect->loop, self->tasks->timeout_ms, 1, on_late, self);
    fetch(self);
    send_more(self);
}

int
cli_stress_task_run(const cli_stress_tasks_t *tasks)
{
    assert(tasks->count > 0 && tasks->count <= CLI_STRESS_TASKS_MAX);
    waiting_t self = {.tasks = tasks, .left = tasks->count};
    self.ones = calloc(tasks->count, sizeof *self.ones);
    assert(self.ones);
    for (size_t i = 0; i < tasks->count; ++i) {
        self.ones[i] = (one_t){.owner = &self, .task = &tasks->tasks[i]};
        tasks->tasks[i].err = BUS_TIMEOUT;
        tasks->tasks[i].done = pack_new();
    }
    const cli_place_t place = {.ingress = cli_stress_instance_ingress(tasks->instance),
                               .egress = cli_stress_instance_egress(tasks->instance)};
    const cli_connect_options_t options = {
        .place = &place,
        .source = "bhiv_stress",
        .timeout_ms = WELCOME_MS,
        .ready = begin,
        .arg = &self,
    };
    int status = cli_connect_run(&options);
    free(self.ones);
    for (size_t i = 0; i < tasks->count; ++i) {
        bool is_over = pack_view(tasks->tasks[i].done).size > 0;
        if (tasks->tasks[i].err == BUS_OK && !is_over) {
            tasks->tasks[i].err = BUS_TIMEOUT;
        }
    }
    return status;
}

void
cli_stress_task_clear(cli_stress_task_t *tasks, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        pack_destroy(&tasks[i].done);
    }
}
