// pub.c - `bhiv pub`: publishes JSON, one message or a line each, durably where the topic is.
//
// A window of messages is on its way at any time, bounded in number and in bytes: reading stops
// while it is full, so memory does not grow with the input. Exit status 0 means that every message
// of a journaled topic is durable, whether or not --ack was given. What is live is gone once sent;
// a last question to the broker, behind it in the same queue, shows that it got there.
#include "body.h"
#include "connect.h"
#include "lines.h"
#include "output.h"

#include "proto/limits.h"
#include "proto/topic.h"
#include "proto/transcode.h"
#include "runtime/clock.h"
#include "runtime/id.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WINDOW_MESSAGES = 4000,             // on their way; an inbox holds 8,192 answers
    WINDOW_BYTES = 32 * 1024 * 1024,    // the same, of bodies
    BATCH_DEFAULT = 100,                // messages in a $bus.batch
    BATCH_BYTES = BODY_SIZE_MAX - 4096, // of its body: a message more could pass the limit
    ENVELOPE_SIZE = 3 * NAME_SIZE_MAX,  // what topic and header add to a body in a batch, at least
    RETRY_MS = 1,                       // after a full queue
    PROGRESS_MS = 200,
    PROGRESS_FIRST_MS = 1000 // what is done sooner needs no progress line
};

typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    uint64_t count;
    bool ack;
    bool batch;
    uint64_t batch_size;
    const char *trace;
    const char *source;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_PLACE_ROWS(flags_t, place),
    CLI_TIMEOUT_ROW(flags_t, timeout_ms, "5s"),
    {"count", 'n', OPTION_COUNT, "N", NULL, offsetof(flags_t, count), 1, 0,
     "publishes the argument N times, or N lines at most"},
    {"ack", 'a', OPTION_FLAG, NULL, NULL, offsetof(flags_t, ack), 0, 0,
     "prints {\"seq\",\"at\",\"id\"} for each message; \"kept\":false for a live one"},
    {"batch", 'b', OPTION_FLAG, NULL, NULL, offsetof(flags_t, batch), 0, 0,
     "sends batches: each durable as a whole or not at all"},
    {"batch-size", 0, OPTION_COUNT, "N", NULL, offsetof(flags_t, batch_size), 1, BATCH_COUNT_MAX,
     "the same, with N messages in a batch; default 100"},
    {"trace", 0, OPTION_TEXT, "ID", NULL, offsetof(flags_t, trace), 0, 0,
     "trace_id, carried into all that this causes"},
    {"source", 0, OPTION_TEXT, "NAME", "bhiv_cli", offsetof(flags_t, source), 0, 0,
     "who says it"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv pub",
    .arguments = "TOPIC [JSON|-]",
    .help =
        "Publishes a message, or one for each line of standard input where JSON is - or absent. "
        "Exit status 0, as an ack, says that all of a journaled topic are durable, not that their "
        "service accepts them: refusals are counted by `bhiv req req.bucket.health`, `refused`. "
        "What is live reaches who listens, and nobody keeps it.\v"
        "  bhiv pub core.event.note --ack \\\n"
        "    '{\"requester_id\":\"bhiv_core\",\"event_type\":\"note\",\"text\":\"hello\"}'\n"
        "  bhiv pub core.event.note --batch < events.jsonl\n"
        "  bhiv pub layer2.telemetry.cpu '{\"load\":0.7}'",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 2,
};

typedef char id_text_t[ID_TEXT_SIZE];

typedef struct {
    flags_t flags;
    const char *topic;
    topic_class_t class_;
    cli_connect_t *connect;
    cli_output_t out;
    pack_t *body;     // of the argument, or of the line just read
    bool is_repeated; // the argument's body, not lines
    cli_lines_t lines;
    bool is_listening;   // standard input is in the loop
    bool is_ended;       // nothing more is to be read
    bool is_full;        // the window, or the queue: what was read waits in `body`
    bool has_body;       // `body` holds a message that is not sent yet
    bool is_confirming;  // the last question is on its way
    uint64_t read_count; // messages taken from the input
    uint64_t done_count; // acked, or handed over
    size_t flying;       // calls on their way
    size_t flying_bytes;
    pack_t *batch; // the open one: [topic, header, body]…, without its head
    uint32_t batch_count;
    id_text_t *batch_ids; // of its messages, batch_size of them
    pack_t *whole;        // a batch with its head, to be sent
    pack_t *header;       // of one message in a batch
    uint64_t started_ms;
    int retry_timer;
    bool shows_progress;
    int status; // the first failure
} pub_t;

// One call: a message or a batch.
typedef struct {
    pub_t *pub;
    size_t bytes;
    uint32_t count;
    id_text_t ids[]; // of its messages
} flight_t;

// --- Progress ----------------------------------------------------------------------------------

static void
show_progress(void *arg)
{
    const pub_t *self = arg;
    uint64_t age_ms = clock_boot_ms() - self->started_ms;
    if (age_ms >= PROGRESS_FIRST_MS && self->done_count > 0) {
        fprintf(stderr,
                "\r\033[K%llu published, %llu a second",
                (unsigned long long) self->done_count,
                (unsigned long long) (self->done_count * 1000 / age_ms));
    }
}

static void
end(pub_t *self)
{
    if (self->shows_progress && clock_boot_ms() - self->started_ms >= PROGRESS_FIRST_MS) {
        fputs("\r\033[K", stderr);
    }
    int status = self->status;
    if (!cli_output_flush(&self->out) && status == CLI_DONE) {
        status = CLI_IO;
    }
    cli_connect_end(self->connect, status);
}

static void
fail(pub_t *self, int status)
{
    if (self->status == CLI_DONE) {
        self->status = status;
    }
    self->is_ended = true;
    self->has_body = false;
    self->batch_count = 0;
}

// --- Answers -----------------------------------------------------------------------------------

static void pump(pub_t *self);

static void
print_acks(pub_t *self, const flight_t *flight, const client_answer_t *answer)
{
    bool is_live = answer->seq == 0;
    uint64_t first = answer->first != 0 ? answer->first : answer->seq - (flight->count - 1);
    for (uint32_t i = 0; i < flight->count; ++i) {
        text_add_format(self->out.text,
                        "{\"seq\":%llu,\"at\":%llu,\"id\":\"%s\"%s}\n",
                        (unsigned long long) (is_live ? 0 : first + i),
                        (unsigned long long) answer->at,
                        flight->ids[i],
                        is_live ? ",\"kept\":false" : "");
    }
    cli_output_text(&self->out);
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    flight_t *flight = arg;
    pub_t *self = flight->pub;
    self->flying -= 1;
    self->flying_bytes -= flight->bytes;
    if (answer->err == BUS_OK) {
        self->done_count += flight->count;
        if (self->flags.ack) {
            print_acks(self, flight, answer);
            if (self->flying == 0 && !cli_output_flush(&self->out)) { // who pipes may wait for it
                fail(self, CLI_IO);
            }
        }
    } else if (answer->err != BUS_ABORTED) {
        if (self->status == CLI_DONE) {
            fail(self, cli_connect_refused(self->topic, answer));
        }
    }
    free(flight);
    if (answer->err != BUS_ABORTED) {
        pump(self);
    }
}

static void
on_confirmed(void *arg, const client_answer_t *answer)
{
    pub_t *self = arg;
    if (answer->err == BUS_ABORTED) {
        return;
    }
    if (answer->err != BUS_OK && self->status == CLI_DONE) {
        self->status = cli_connect_refused(self->topic, answer);
    }
    end(self);
}

// --- Sending -----------------------------------------------------------------------------------

static void
on_retry(void *arg)
{
    pub_t *self = arg;
    self->retry_timer = 0;
    pump(self);
}

static flight_t *
flight_new(pub_t *self, uint32_t count, size_t bytes)
{
    flight_t *flight = malloc(sizeof *flight + count * sizeof flight->ids[0]);
    assert(flight);
    flight->pub = self;
    flight->bytes = bytes;
    flight->count = count;
    return flight;
}

// Whether it is on its way. Not so: the queue is full, and it is to be tried again; or it failed.
static bool
launch(pub_t *self, const client_message_t *message, flight_t *flight)
{
    ++self->flying;
    self->flying_bytes += flight->bytes;
    bus_err_t err = client_send(self->connect->client, message, on_answer, flight, NULL);
    if (err == BUS_OK) {
        return true;
    }
    --self->flying;
    self->flying_bytes -= flight->bytes;
    free(flight);
    if (err != BUS_BUSY) {
        fail(self, cli_fail(cli_exit_of(err), "%s: %s", self->topic, error_meaning(err)));
    }
    return false;
}

static bool
send_one(pub_t *self)
{
    client_message_t message = {
        .topic = self->topic,
        .body = pack_view(self->body),
        .trace_id = view_from_text(self->flags.trace),
        .timeout_ms = (unsigned) self->flags.timeout_ms,
    };
    if (self->class_ == TOPIC_LIVE && !self->flags.ack) {
        bus_err_t err = client_send(self->connect->client, &message, NULL, NULL, NULL);
        if (err == BUS_OK) {
            ++self->done_count;
        } else if (err != BUS_BUSY) {
            fail(self, cli_fail(cli_exit_of(err), "%s: %s", self->topic, error_meaning(err)));
        } else if (self->retry_timer == 0) {
            self->retry_timer = loop_add_timer(self->connect->loop, RETRY_MS, 1, on_retry, self);
        }
        return err == BUS_OK;
    }
    flight_t *flight = flight_new(self, 1, message.body.size);
    id_make(flight->ids[0]);
    message.id = flight->ids[0];
    message.want = CLIENT_WANT_ACK;
    return launch(self, &message, flight);
}

static bool
send_batch(pub_t *self)
{
    bus_view_t records = pack_view(self->batch);
    pack_clear(self->whole);
    pack_array(self->whole, self->batch_count);
    pack_raw(self->whole, records);
    const client_message_t message = {
        .topic = "$bus.batch",
        .body = pack_view(self->whole),
        .want = CLIENT_WANT_ACK,
        .timeout_ms = (unsigned) self->flags.timeout_ms,
    };
    flight_t *flight = flight_new(self, self->batch_count, message.body.size);
    memcpy(flight->ids, self->batch_ids, self->batch_count * sizeof self->batch_ids[0]);
    if (!launch(self, &message, flight)) {
        return false;
    }
    pack_clear(self->batch);
    self->batch_count = 0;
    return true;
}

static void
add_to_batch(pub_t *self)
{
    char *id = self->batch_ids[self->batch_count];
    id_make(id);
    const header_t header = {
        .id = view_from_text(id),
        .source = view_from_text(self->flags.source),
        .trace_id = view_from_text(self->flags.trace),
        .time = clock_wall_us(),
    };
    pack_clear(self->header);
    header_encode(&header, self->header);
    pack_array(self->batch, 3);
    pack_text(self->batch, self->topic);
    pack_raw(self->batch, pack_view(self->header));
    pack_raw(self->batch, pack_view(self->body));
    ++self->batch_count;
    self->has_body = false;
}

// Sends what is in self->body or puts it into the batch. False where it has to wait.
static bool
say(pub_t *self)
{
    if (self->batch == NULL) {
        self->has_body = !send_one(self);
        return !self->has_body;
    }
    size_t size = pack_view(self->body).size + ENVELOPE_SIZE + strlen(self->topic);
    bool is_over = pack_view(self->batch).size + size > BATCH_BYTES;
    if (self->batch_count > 0 && is_over && !send_batch(self)) {
        return false;
    }
    if (size > BATCH_BYTES) { // too large for company
        self->has_body = !send_one(self);
        return !self->has_body;
    }
    add_to_batch(self);
    return self->batch_count < self->flags.batch_size || send_batch(self);
}

// --- Reading -----------------------------------------------------------------------------------

static void on_input(void *arg);

static void
listen_to_input(pub_t *self, bool wanted)
{
    if (wanted == self->is_listening) {
        return;
    }
    self->is_listening = wanted;
    if (wanted) {
        loop_add_fd(self->connect->loop, self->lines.fd, POLLIN, on_input, self);
    } else {
        loop_remove_fd(self->connect->loop, self->lines.fd);
    }
}

// Reads the next line into self->body. False: not now, or never (self->is_ended).
static bool
read_line(pub_t *self)
{
    bus_view_t line;
    char where[32];
    for (;;) {
        cli_lines_result_t result = cli_lines_next(&self->lines, &line);
        snprintf(where, sizeof where, "line %llu", (unsigned long long) self->lines.number);
        switch (result) {
        case CLI_LINES_GOT:
            if (cli_lines_is_blank(line)) {
                continue;
            }
            pack_clear(self->body);
            int status = cli_body_add(line, where, self->body);
            if (status != CLI_DONE) {
                fail(self, status);
            }
            return status == CLI_DONE;
        case CLI_LINES_WAIT:
            return false;
        case CLI_LINES_END:
            self->is_ended = true;
            return false;
        case CLI_LINES_TOO_LONG:
            fail(self, cli_fail(CLI_BAD_DATA, "%s is too long", where));
            return false;
        case CLI_LINES_FAILED:
            fail(self, cli_fail(CLI_IO, "cannot read standard input: %s", strerror(errno)));
            return false;
        }
    }
}

// Whether there is a message to send in self->body.
static bool
read_next(pub_t *self)
{
    if (self->has_body) {
        return true;
    }
    if (!self->is_ended && self->flags.count != 0 && self->read_count == self->flags.count) {
        self->is_ended = true;
    }
    if (self->is_ended || (!self->is_repeated && !read_line(self))) {
        return false;
    }
    self->has_body = true;
    ++self->read_count;
    return true;
}

static bool
has_room(const pub_t *self)
{
    return self->flying < WINDOW_MESSAGES && self->flying_bytes < WINDOW_BYTES;
}

static void
confirm(pub_t *self)
{
    if (self->is_confirming) {
        return;
    }
    self->is_confirming = true;
    pack_clear(self->body);
    pack_map(self->body, 0);
    const client_message_t message = {
        .topic = "$bus.peers",
        .body = pack_view(self->body),
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = (unsigned) self->flags.timeout_ms,
    };
    if (client_send(self->connect->client, &message, on_confirmed, self, NULL) != BUS_OK) {
        self->status = cli_fail(CLI_TRY_AGAIN, "%s: the queue to the broker is full", self->topic);
        end(self);
    }
}

static void
pump(pub_t *self)
{
    bool goes_on = true;
    while (goes_on && has_room(self) && read_next(self)) {
        goes_on = say(self);
    }
    bool is_idle = goes_on && has_room(self) && !self->has_body;
    if (is_idle && self->batch_count > 0) {
        (void) send_batch(self); // what is here goes, rather than wait for company
    }
    listen_to_input(self, is_idle && !self->is_ended);
    if (!self->is_ended || self->has_body || self->batch_count > 0 || self->flying > 0) {
        return;
    }
    if (self->class_ == TOPIC_LIVE && !self->flags.ack && self->status == CLI_DONE) {
        confirm(self);
    } else {
        end(self);
    }
}

static void
on_input(void *arg)
{
    pump(arg);
}

static void
begin(void *arg, cli_connect_t *connect)
{
    pub_t *self = arg;
    self->connect = connect;
    self->started_ms = clock_boot_ms();
    bool is_seen = isatty(STDERR_FILENO) == 1;
    if (self->class_ == TOPIC_LIVE && (self->flags.ack || is_seen)) {
        fprintf(stderr, "bhiv: %s is live: nobody keeps it\n", self->topic);
    }
    self->shows_progress =
        is_seen && isatty(STDIN_FILENO) != 1 && !(self->flags.ack && isatty(STDOUT_FILENO) == 1);
    if (self->shows_progress) {
        loop_add_timer(connect->loop, PROGRESS_MS, 0, show_progress, self);
    }
    pump(self);
}

// --- The verb ----------------------------------------------------------------------------------

static int
check_words(pub_t *self)
{
    bus_view_t topic = view_from_text(self->topic);
    const char *why = NULL;
    if (!topic_is_legal(topic, &why)) {
        return cli_fail(CLI_BAD_DATA, "`%s` is no topic: %s", self->topic, why);
    }
    self->class_ = topic_class(topic);
    if (self->class_ != TOPIC_JOURNALED && self->class_ != TOPIC_LIVE) {
        return cli_fail(CLI_USAGE, "%s is not for publishing; to ask: bhiv req", self->topic);
    }
    // It names our inbox, too, and so must be a token of a topic.
    bus_view_t source = view_from_text(self->flags.source);
    if (source.size > ID_SIZE_MAX || !topic_is_legal(source, NULL) ||
        strpbrk(source.data, ".$") != NULL) {
        return cli_fail(CLI_BAD_DATA, "--source: 1 to %d letters, digits, _ and -", ID_SIZE_MAX);
    }
    if (self->flags.trace != NULL && strlen(self->flags.trace) > NAME_SIZE_MAX) {
        return cli_fail(CLI_BAD_DATA, "--trace has more than %d bytes", NAME_SIZE_MAX);
    }
    bool wants_batches = self->flags.batch || self->flags.batch_size != 0;
    if (wants_batches && self->class_ != TOPIC_JOURNALED) {
        return cli_fail(CLI_USAGE, "--batch is for journaled topics, and %s is live", self->topic);
    }
    if (wants_batches) {
        self->flags.batch_size =
            self->flags.batch_size == 0 ? BATCH_DEFAULT : self->flags.batch_size;
        self->batch = pack_new();
        self->batch_ids = calloc(self->flags.batch_size, sizeof self->batch_ids[0]);
        assert(self->batch_ids);
    }
    return CLI_DONE;
}

static int
publish(pub_t *self, const char *json)
{
    int status = check_words(self);
    if (status != CLI_DONE) {
        return status;
    }
    self->is_repeated = json != NULL && strcmp(json, "-") != 0;
    if (self->is_repeated) {
        status = cli_body_argument(json, self->body);
        self->flags.count = self->flags.count == 0 ? 1 : self->flags.count;
    }
    if (status != CLI_DONE) {
        return status;
    }
    const cli_connect_options_t connecting = {
        .place = &self->flags.place,
        .source = self->flags.source,
        .timeout_ms = self->flags.timeout_ms,
        .ready = begin,
        .arg = self,
    };
    return cli_connect_run(&connecting);
}

static int
run(int argc, char **argv)
{
    pub_t self = {0};
    const char *words[2] = {NULL, NULL};
    unsigned word_count = 0;
    option_parse(&options, argc, argv, &self.flags, words, &word_count);
    self.topic = words[0];
    int status = cli_output_init(&self.out, "json");
    if (status != CLI_DONE) {
        return status;
    }
    self.body = pack_new();
    self.whole = pack_new();
    self.header = pack_new();
    cli_lines_init(&self.lines, STDIN_FILENO, CLI_BODY_JSON_MAX);
    status = publish(&self, words[1]);
    cli_lines_clear(&self.lines);
    pack_destroy(&self.body);
    pack_destroy(&self.whole);
    pack_destroy(&self.header);
    pack_destroy(&self.batch);
    free(self.batch_ids);
    cli_output_clear(&self.out);
    return status;
}

const cli_command_t cli_pub = {
    .name = "pub",
    .summary = "publish JSON, durably where the topic is journaled",
    .group = CLI_GROUP_TALK,
    .options = &options,
    .run = run,
};
