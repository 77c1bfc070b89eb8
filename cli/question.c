// question.c - one message to one service, and its answer.
#include "question.h"

#include "proto/topic.h"
#include "proto/walk.h"

typedef struct {
    const cli_question_t *question;
    cli_output_t out;
} asked_t;

unsigned
cli_question_wants(const char *topic)
{
    bool is_command = topic_class(view_from_text(topic)) == TOPIC_JOURNALED;
    return is_command ? CLIENT_WANT_ACK | CLIENT_WANT_REPLY : CLIENT_WANT_REPLY;
}

int
cli_question_refused(const char *topic, const client_answer_t *answer)
{
    if (answer->body.data == NULL && answer->seq != 0) {
        const topic_row_t *row = topic_find(view_from_text(topic));
        return cli_fail(cli_exit_of(answer->err),
                        "%s: journaled as %llu, not answered yet; ask bhiv req req.%s.queue "
                        "'{\"seq\":%llu}'",
                        topic,
                        (unsigned long long) answer->seq,
                        row == NULL ? "" : row->owner,
                        (unsigned long long) answer->seq);
    }
    return cli_connect_refused(topic, answer);
}

static int
take(void *arg, const client_answer_t *answer)
{
    asked_t *self = arg;
    if (answer->err != BUS_OK) {
        return cli_question_refused(self->question->topic, answer);
    }
    int status = self->question->print(&self->out, answer->body);
    return cli_output_flush(&self->out) ? status : CLI_IO;
}

int
cli_question_ask(const cli_question_t *question)
{
    asked_t asked = {.question = question};
    int status = cli_output_init(&asked.out, question->flags->format);
    if (status != CLI_DONE) {
        return status;
    }
    const cli_ask_t asking = {
        .place = &question->flags->place,
        .timeout_ms = question->flags->timeout_ms,
        .topic = question->topic,
        .body = question->body,
        .trace_id = question->trace_id,
        .want = cli_question_wants(question->topic),
        .take = take,
        .arg = &asked,
    };
    status = cli_connect_ask(&asking);
    cli_output_clear(&asked.out);
    return status;
}

// --- Fields --------------------------------------------------------------------------------------

int
cli_question_print(cli_output_t *out, bus_view_t answer)
{
    cli_output_value(out, answer);
    return CLI_DONE;
}
