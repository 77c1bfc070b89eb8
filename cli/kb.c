// kb.c - `bhiv kb`: the knowledge base. See kb.h; the verbs are in kb_add.c, kb_list.c,
// kb_remove.c, kb_query.c.
#include "kb.h"

#include "proto/topic.h"
#include "proto/walk.h"

static const cli_command_t *const verbs[] = {
    &cli_kb_add, &cli_kb_list, &cli_kb_show, &cli_kb_remove, &cli_kb_query, NULL};

static const option_row_t rows[] = {CLI_QUESTION_ROWS("5s")};

static const option_table_t options = {
    .program = "bhiv kb",
    .arguments = "VERB",
    .help = "The knowledge base that Core's knowledge_agent answers from: documents, cut into "
            "passages and found by their words. Each verb has its own --help.\v"
            "  bhiv kb add FILE…           add texts, or new versions of them\n"
            "  bhiv kb list                what is there\n"
            "  bhiv kb show ID             one document\n"
            "  bhiv kb remove ID…          take documents away\n"
            "  bhiv kb query WORD…         ask it",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run(int argc, char **argv)
{
    cli_question_flags_t flags = {.timeout_ms = 0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    return cli_fail(CLI_USAGE, "kb: add, list, show, remove or query? see bhiv kb --help");
}

const cli_command_t cli_kb = {
    .name = "kb",
    .summary = "add to, look at and ask the knowledge base",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
    .verbs = verbs,
};

// --- Talking -------------------------------------------------------------------------------------

typedef struct {
    const cli_kb_talk_t *talk;
    cli_connect_t *connect;
    cli_output_t out;
    pack_t *body;
} talking_t;

static void on_answer(void *arg, const client_answer_t *answer);

static void
say_next(talking_t *self)
{
    int status = CLI_DONE;
    pack_clear(self->body);
    if (!self->talk->next(self->talk->arg, self->body, &status)) {
        cli_connect_end(self->connect, status);
        return;
    }
    const client_message_t message = {
        .topic = self->talk->topic,
        .body = pack_view(self->body),
        .want = cli_question_wants(self->talk->topic),
        .timeout_ms = (unsigned) self->talk->flags->timeout_ms,
    };
    bus_err_t err = client_send(self->connect->client, &message, on_answer, self, NULL);
    if (err != BUS_OK) {
        int failed = cli_fail(cli_exit_of(err), "%s: %s", message.topic, error_meaning(err));
        cli_connect_end(self->connect, failed);
    }
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    talking_t *self = arg;
    if (answer->event == CLIENT_ACKED || answer->err == BUS_ABORTED) {
        return;
    }
    if (answer->err != BUS_OK) {
        self->talk->failed(self->talk->arg, cli_question_refused(self->talk->topic, answer));
    } else {
        self->talk->take(self->talk->arg, &self->out, answer->body);
        if (!cli_output_flush(&self->out)) {
            cli_connect_end(self->connect, CLI_IO);
            return;
        }
    }
    say_next(self);
}

static void
begin(void *arg, cli_connect_t *connect)
{
    talking_t *self = arg;
    self->connect = connect;
    say_next(self);
}

int
cli_kb_talk(const cli_kb_talk_t *talk)
{
    talking_t self = {.talk = talk};
    int status = cli_output_init(&self.out, talk->flags->format);
    if (status != CLI_DONE) {
        return status;
    }
    self.body = pack_new();
    const cli_connect_options_t connecting = {
        .place = &talk->flags->place,
        .timeout_ms = talk->flags->timeout_ms,
        .ready = begin,
        .arg = &self,
    };
    status = cli_connect_run(&connecting);
    pack_destroy(&self.body);
    cli_output_clear(&self.out);
    return status;
}
