// htm_enqueue.c - `bhiv htm enqueue`: a task more, and what came of it.
//
// With --wait it reads the journal from where the task was put into it, so that nothing that the
// queue says of it is missed, whatever is restarted meanwhile. A queue that is down does not matter
// either: its answer is awaited as its last word is, and until it has named the task its name is
// known by the place of the command.
#include "body.h"
#include "htm.h"
#include "reader.h"

#include "proto/walk.h"

#include <stdio.h>
#include <string.h>

enum { TASK_ID_SIZE = 65, RETRIES_MAX = 20 }; // as in proto/schema/htm.def

typedef struct {
    cli_question_flags_t htm;
    const char *handler;
    const char *priority;
    const char *retries;
    const char *id;
    const char *trace;
    uint64_t sla_ms, lease_ms, delay_ms, within_ms;
    bool wait;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_QUESTION_ROWS("5s"),
    {"handler", 0, OPTION_TEXT, "HANDLER", NULL, offsetof(flags_t, handler), 0, 0,
     "who can do it; default: unknown"},
    {"priority", 'p', OPTION_TEXT, "PRIORITY", NULL, offsetof(flags_t, priority), 0, 0,
     "critical, high, normal or low; default: normal"},
    {"sla", 0, OPTION_MS, "TIME", NULL, offsetof(flags_t, sla_ms), 0, 0,
     "until it should be done; default 5m, 30m, 4h, 24h by priority"},
    {"lease", 0, OPTION_MS, "TIME", NULL, offsetof(flags_t, lease_ms), 0, 0,
     "how long a worker may be silent about it; default 30s"},
    {"retries", 0, OPTION_TEXT, "N", NULL, offsetof(flags_t, retries), 0, 0,
     "after failures, 0 to 20; default: critical 3, the others 1"},
    {"delay", 0, OPTION_MS, "TIME", NULL, offsetof(flags_t, delay_ms), 0, 0,
     "not before so long from now"},
    {"id", 0, OPTION_TEXT, "TASK", NULL, offsetof(flags_t, id), 0, 0,
     "its name: the same again is the same task; default: one is made"},
    {"trace", 0, OPTION_TEXT, "ID", NULL, offsetof(flags_t, trace), 0, 0,
     "trace_id, carried into all that this causes"},
    {"wait", 'w', OPTION_FLAG, NULL, NULL, offsetof(flags_t, wait), 0, 0,
     "waits until it is over, and prints the queue's last word on it"},
    {"within", 0, OPTION_MS, "TIME", NULL, offsetof(flags_t, within_ms), 0,
     CLI_CONNECT_TIMEOUT_MAX_MS, "with --wait: no longer than this; default: however long"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv htm enqueue",
    .arguments = "TYPE [JSON|-]",
    .help = "Puts a task into the queue and prints what the queue says: TYPE is what is to be done "
            "as its handler knows it, JSON its context. With --wait the exit status is 0 where it "
            "was completed, 1 where it is dead or was cancelled, 124 where --within was over.\v"
            "  bhiv htm enqueue run_diagnostics --handler self_healing --wait\n"
            "  bhiv htm enqueue resize '{\"file\":\"a.png\"}' --handler images --priority high",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 2,
};

typedef struct {
    const flags_t *flags;
    bus_view_t body;
    cli_output_t out;
    cli_connect_t *connect;     // NULL before the welcome
    cli_reader_t reader;        // with --wait
    bool is_reading;            // `reader` was started
    char task_id[TASK_ID_SIZE]; // what is waited for
} enqueue_t;

static const char *const last_words[] = {"task.done"};

static void
end(enqueue_t *self, int status)
{
    cli_connect_end(self->connect, cli_output_flush(&self->out) ? status : CLI_IO);
}

// Prints the last word on the task.
static void
conclude(enqueue_t *self, bus_view_t said)
{
    cli_output_value(&self->out, said);
    bool is_done = view_is(walk_text_at(said, "status"), "completed");
    end(self, is_done ? CLI_DONE : CLI_NEGATIVE);
}

static bool
take_record(void *arg, const client_heard_t *record)
{
    enqueue_t *self = arg;
    if (!view_is(walk_text_at(record->body, "task_id"), self->task_id)) {
        return true;
    }
    conclude(self, record->body);
    return false;
}

static bool
after_page(void *arg, const client_page_t *page)
{
    enqueue_t *self = arg;
    if (page->err != BUS_OK) {
        end(self, cli_reader_failed(page));
    }
    return page->err == BUS_OK;
}

static void
on_late(void *arg)
{
    enqueue_t *self = arg;
    const char *handler = self->flags->handler == NULL ? "unknown" : self->flags->handler;
    end(self,
        cli_fail(CLI_TIMED_OUT,
                 "%s is not over yet; `bhiv htm workers` says who takes the handler `%s`",
                 self->task_id,
                 handler));
}

// Waits for the last word, which is behind `seq`.
static void
wait_from(enqueue_t *self, uint64_t seq)
{
    const cli_reader_options_t reading = {
        .client = self->connect->client,
        .patterns = last_words,
        .pattern_count = 1,
        .from = seq,
        .follow = true,
        .take = take_record,
        .after = after_page,
        .arg = self,
    };
    cli_reader_start(&self->reader, &reading);
    self->is_reading = true;
    if (self->flags->within_ms > 0) {
        loop_add_timer(self->connect->loop, (unsigned) self->flags->within_ms, 1, on_late, self);
    }
}

// One that was over already: its last word may be long ago.
static void
on_task(void *arg, const client_answer_t *answer)
{
    enqueue_t *self = arg;
    if (answer->err == BUS_ABORTED) {
        return;
    }
    if (answer->err != BUS_OK) {
        end(self, cli_connect_refused("req.htm.task", answer));
        return;
    }
    conclude(self, answer->body);
}

static bool
is_over(bus_view_t task)
{
    bus_view_t status = walk_text_at(task, "status");
    return view_is(status, "completed") || view_is(status, "dead") || view_is(status, "cancelled");
}

static void
ask_task(enqueue_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "task_id", self->task_id);
    const client_message_t message = {
        .topic = "req.htm.task",
        .body = pack_view(body),
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = (unsigned) self->flags->htm.timeout_ms,
    };
    bus_err_t err = client_send(self->connect->client, &message, on_task, self, NULL);
    if (err != BUS_OK) {
        end(self, cli_fail(cli_exit_of(err), "req.htm.task: %s", error_meaning(err)));
    }
}

// By what the queue said, or where it said nothing yet by where the command stands.
static void
name_task(enqueue_t *self, const client_answer_t *answer)
{
    bus_view_t named =
        answer->body.data == NULL ? VIEW_NONE : walk_text_at(answer->body, "task_id");
    if (named.data != NULL && named.size < TASK_ID_SIZE) {
        memcpy(self->task_id, named.data, named.size);
    } else if (self->flags->id != NULL) {
        snprintf(self->task_id, sizeof self->task_id, "%s", self->flags->id);
    } else {
        snprintf(
            self->task_id, sizeof self->task_id, "task_%llu", (unsigned long long) answer->seq);
    }
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    enqueue_t *self = arg;
    if (answer->event == CLIENT_ACKED || answer->err == BUS_ABORTED) {
        return;
    }
    bool is_queued = answer->err != BUS_OK && answer->body.data == NULL && answer->seq != 0;
    if (answer->err != BUS_OK && !(is_queued && self->flags->wait)) {
        end(self, cli_question_refused("task.enqueue", answer));
        return;
    }
    if (!self->flags->wait) {
        cli_output_value(&self->out, answer->body);
        end(self, CLI_DONE);
        return;
    }
    name_task(self, answer);
    if (!is_queued && is_over(answer->body)) {
        ask_task(self);
    } else {
        wait_from(self, answer->seq);
    }
}

static void
enqueue(void *arg, cli_connect_t *connect)
{
    enqueue_t *self = arg;
    self->connect = connect;
    const client_message_t message = {
        .topic = "task.enqueue",
        .body = self->body,
        .trace_id = view_from_text(self->flags->trace),
        .want = CLIENT_WANT_ACK | CLIENT_WANT_REPLY,
        .timeout_ms = (unsigned) self->flags->htm.timeout_ms,
    };
    bus_err_t err = client_send(connect->client, &message, on_answer, self, NULL);
    if (err != BUS_OK) {
        end(self, cli_fail(cli_exit_of(err), "task.enqueue: %s", error_meaning(err)));
    }
}

static uint32_t
pack_seconds(pack_t *out, const char *key, uint64_t ms)
{
    if (ms == 0) {
        return 0;
    }
    pack_pair_real(out, key, (double) ms / 1000);
    return 1;
}

static void
pack_task(
    const flags_t *flags, const char *type, bus_view_t given, const uint64_t *retries, pack_t *out)
{
    size_t place = pack_map_begin(out);
    uint32_t count = 5;
    pack_pair_text(out, "task_type", type);
    pack_pair_raw(out, "context", given);
    pack_pair_str(out, "task_id", view_from_text(flags->id));
    pack_pair_str(out, "handler", view_from_text(flags->handler));
    pack_pair_str(out, "priority", view_from_text(flags->priority));
    count += pack_seconds(out, "sla_seconds", flags->sla_ms);
    count += pack_seconds(out, "lease_seconds", flags->lease_ms);
    count += pack_seconds(out, "delay_seconds", flags->delay_ms);
    if (retries != NULL) {
        pack_pair_uint(out, "max_retries", *retries);
        count++;
    }
    pack_count(out, place, count);
}

static int
run_with(const flags_t *flags, bus_view_t body)
{
    enqueue_t self = {.flags = flags, .body = body};
    int status = cli_output_init(&self.out, flags->htm.format);
    if (status != CLI_DONE) {
        return status;
    }
    const cli_connect_options_t connecting = {
        .place = &flags->htm.place,
        .timeout_ms = flags->htm.timeout_ms,
        .ready = enqueue,
        .arg = &self,
    };
    status = cli_connect_run(&connecting);
    if (self.is_reading) {
        cli_reader_clear(&self.reader);
    }
    cli_output_clear(&self.out);
    return status;
}

// The queue takes any other word as normal; here it is a slip of the hand.
static bool
is_priority(const char *word)
{
    static const char *const words[] = {"critical", "high", "normal", "low"};
    bool is_one = false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; ++i) {
        is_one = is_one || strcmp(words[i], word) == 0;
    }
    return is_one;
}

static int
run(int argc, char **argv)
{
    flags_t flags = {.wait = false};
    const char *words[2] = {NULL, NULL};
    unsigned word_count = 0;
    uint64_t retries = 0;
    option_parse(&options, argc, argv, &flags, words, &word_count);
    if (flags.retries != NULL &&
        (option_value(OPTION_COUNT, flags.retries, &retries) != BUS_OK || retries > RETRIES_MAX)) {
        return cli_fail(CLI_USAGE, "--retries is 0 to %d", RETRIES_MAX);
    }
    if (flags.priority != NULL && !is_priority(flags.priority)) {
        return cli_fail(CLI_USAGE, "--priority is critical, high, normal or low");
    }
    BUS_AUTO(pack_destroy) pack_t *given = pack_new();
    int status = cli_body_argument(words[1], given);
    if (status != CLI_DONE) {
        return status;
    }
    if (!walk_pairs(pack_view(given)).is_whole) {
        return cli_fail(CLI_BAD_DATA, "the context is no JSON object");
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_task(&flags, words[0], pack_view(given), flags.retries == NULL ? NULL : &retries, body);
    return run_with(&flags, pack_view(body));
}

const cli_command_t cli_htm_enqueue = {
    .name = "enqueue",
    .summary = "put a task into the queue",
    .group = CLI_GROUP_TALK,
    .options = &options,
    .run = run,
};
