// req.c - `bhiv req`: asks a service, or gives it a command, and prints what it answers.
#include "body.h"
#include "connect.h"
#include "output.h"

#include "proto/limits.h"
#include "proto/topic.h"

#include <stddef.h>
#include <string.h>

typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    const char *trace;
    const char *format;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_PLACE_ROWS(flags_t, place),
    CLI_TIMEOUT_ROW(flags_t, timeout_ms, "2s"),
    CLI_FORMAT_ROW(flags_t, format),
    {"trace", 0, OPTION_TEXT, "ID", NULL, offsetof(flags_t, trace), 0, 0,
     "trace_id, carried into all that this causes"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv req",
    .arguments = "TOPIC [JSON|-]",
    .help = "Asks a service (req.<service>.<operation>) or gives it a command (a journaled topic "
            "of `bhiv topics` that a service owns), waits for the reply and prints its body as "
            "JSON. An error is "
            "printed the same way, and the exit status says which kind it was.\v"
            "Without JSON the body is {}; with - it is read from standard input.\n\n"
            "  bhiv req req.bucket.health\n"
            "  bhiv req req.bucket.events '{\"limit\":3}'\n"
            "  bhiv req '$bus.stats'",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 2,
};

typedef struct {
    const char *topic;
    cli_output_t out;
} asked_t;

static int
take(void *arg, const client_answer_t *answer)
{
    asked_t *self = arg;
    if (answer->body.data == NULL) {
        if (answer->seq != 0) {
            return cli_fail(cli_exit_of(answer->err),
                            "%s: journaled as %llu, but its owner did not reply in time",
                            self->topic,
                            (unsigned long long) answer->seq);
        }
        return cli_connect_refused(self->topic, answer);
    }
    cli_output_value(&self->out, answer->body);
    return cli_output_flush(&self->out) ? cli_exit_of(answer->err) : CLI_IO;
}

// Whether the catalogue names it as what a service does when told to: not a family of topics.
static bool
is_command(bus_view_t topic)
{
    const topic_row_t *row = topic_find(topic);
    return row != NULL && row->owner[0] != '\0' && view_equal(topic, view_from_text(row->prefix));
}

// What to wait for, or 0 where nobody would answer.
static unsigned
want_of(bus_view_t topic)
{
    switch (topic_class(topic)) {
    case TOPIC_REQUEST:
    case TOPIC_BUS:
        return CLIENT_WANT_REPLY;
    case TOPIC_JOURNALED:
        return is_command(topic) ? CLIENT_WANT_ACK | CLIENT_WANT_REPLY : 0;
    case TOPIC_LIVE:
    case TOPIC_INBOX:
        return 0;
    }
    return 0;
}

// Says why there is nothing to wait for: before it is journaled, and not by a silence after it.
static int
no_reply(const char *topic)
{
    const topic_row_t *row = topic_find(view_from_text(topic));
    bool is_owned = row != NULL && row->owner[0] != '\0';
    if (is_owned && strcmp(row->prefix, "core.event.") != 0) {
        return cli_fail(CLI_BAD_DATA,
                        "%s knows no command %s (bhiv topics lists them); to publish it all the "
                        "same: bhiv pub",
                        row->owner,
                        topic);
    }
    return cli_fail(CLI_BAD_DATA, "nobody replies to %s; to publish it: bhiv pub", topic);
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    const char *words[2] = {NULL, NULL};
    unsigned word_count = 0;
    option_parse(&options, argc, argv, &flags, words, &word_count);
    asked_t asked = {.topic = words[0]};
    bus_view_t topic = view_from_text(words[0]);
    const char *why = NULL;
    if (!topic_is_legal(topic, &why)) {
        return cli_fail(CLI_BAD_DATA, "`%s` is no topic: %s", words[0], why);
    }
    unsigned want = want_of(topic);
    if (want == 0) {
        return no_reply(words[0]);
    }
    bus_view_t trace_id = view_from_text(flags.trace);
    if (trace_id.size > NAME_SIZE_MAX) {
        return cli_fail(CLI_BAD_DATA, "--trace has more than %d bytes", NAME_SIZE_MAX);
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    int status = cli_body_argument(words[1], body);
    if (status == CLI_DONE) {
        status = cli_output_init(&asked.out, flags.format);
    }
    if (status != CLI_DONE) {
        return status;
    }
    const cli_ask_t ask = {
        .place = &flags.place,
        .timeout_ms = flags.timeout_ms,
        .topic = words[0],
        .body = pack_view(body),
        .trace_id = trace_id,
        .want = want,
        .take = take,
        .arg = &asked,
    };
    status = cli_connect_ask(&ask);
    cli_output_clear(&asked.out);
    return status;
}

const cli_command_t cli_req = {
    .name = "req",
    .summary = "ask a service and print its answer",
    .group = CLI_GROUP_TALK,
    .options = &options,
    .run = run,
};
