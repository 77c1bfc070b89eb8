// audit.c - `bhiv audit`: its verbs, and how they ask Bucket. See audit.h.
#include "audit.h"

#include "proto/walk.h"

static const option_row_t rows[] = {CLI_AUDIT_PLACE_ROWS};

static const option_table_t options = {
    .program = "bhiv audit",
    .arguments = "VERB",
    .help = "Reads and verifies the audit log: every operation of Bucket and every refusal, in a "
            "Merkle tree (RFC 9162) whose heads are signed. Each verb has its own --help.\v"
            "  bhiv audit log                    the last entries\n"
            "  bhiv audit show AUDIT_ID          one of them\n"
            "  bhiv audit checkpoint >> FILE     the log's signed head: keep it elsewhere\n"
            "  bhiv audit verify                 nothing was changed or lost\n"
            "  bhiv audit receipt AUDIT_ID       proof that the entry is in the log\n"
            "  bhiv audit verify-receipt FILE    the same, verified without a bus\n"
            "  bhiv audit export                 all of it, as JSON lines\n"
            "  bhiv audit verify-export FILE     the same, verified without a bus\n\n"
            "All that is needed to verify what others have is the log's public key, which\n"
            "`bhiv keys export-public` prints.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static const cli_command_t *const verbs[] = {
    &cli_audit_log,
    &cli_audit_show,
    &cli_audit_checkpoint,
    &cli_audit_verify,
    &cli_audit_receipt,
    &cli_audit_verify_receipt,
    &cli_audit_export,
    &cli_audit_verify_export,
    NULL,
};

static int
run(int argc, char **argv)
{
    cli_audit_place_t place = {.timeout_ms = 0};
    option_parse(&options, argc, argv, &place, NULL, NULL);
    return cli_fail(CLI_USAGE, "audit what? see bhiv audit --help");
}

const cli_command_t cli_audit = {
    .name = "audit",
    .summary = "read, prove and verify the audit log",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
    .verbs = verbs,
};

// --- Questions -----------------------------------------------------------------------------------

static void
on_ready(void *arg, cli_connect_t *connect)
{
    cli_audit_bus_t *self = arg;
    self->connect = connect;
    self->begin(self->arg);
}

int
cli_audit_bus_run(cli_audit_bus_t *self)
{
    const cli_connect_options_t connecting = {
        .place = &self->place->place,
        .timeout_ms = self->place->timeout_ms,
        .ready = on_ready,
        .arg = self,
    };
    return cli_connect_run(&connecting);
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    cli_audit_bus_t *self = arg;
    if (answer->err != BUS_ABORTED) {
        self->take(self->arg, answer);
    }
}

void
cli_audit_bus_ask(cli_audit_bus_t *self,
                  const char *topic,
                  bus_view_t body,
                  void (*take)(void *arg, const client_answer_t *answer))
{
    const client_message_t message = {
        .topic = topic,
        .body = body,
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = (unsigned) self->place->timeout_ms,
    };
    self->topic = topic;
    self->take = take;
    bus_err_t err = client_send(self->connect->client, &message, on_answer, self, NULL);
    if (err != BUS_OK) {
        cli_audit_bus_end(self, cli_fail(cli_exit_of(err), "%s: %s", topic, error_meaning(err)));
    }
}

void
cli_audit_bus_end(cli_audit_bus_t *self, int status)
{
    cli_connect_end(self->connect, status);
}

static int
take_answer(void *arg, const client_answer_t *answer)
{
    const cli_audit_question_t *question = arg;
    return answer->err == BUS_OK ? question->print(question->arg, answer->body)
                                 : cli_connect_refused(question->topic, answer);
}

int
cli_audit_ask(const cli_audit_question_t *question)
{
    const cli_ask_t asking = {
        .place = &question->place->place,
        .timeout_ms = question->place->timeout_ms,
        .topic = question->topic,
        .body = question->body,
        .want = CLIENT_WANT_REPLY,
        .take = take_answer,
        .arg = (void *) (uintptr_t) question,
    };
    return cli_connect_ask(&asking);
}

// --- Answers -------------------------------------------------------------------------------------

bool
cli_audit_hash(bus_view_t map, const char *key, merkle_hash_t *ret_hash)
{
    return note_hash(walk_text_at(map, key), ret_hash) == BUS_OK;
}
