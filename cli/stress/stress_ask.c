// stress_ask.c - see stress_ask.h.
#include "stress_ask.h"

#include "runtime/clock.h"

#include <assert.h>

enum {
    AGAIN_MS = 20, // until one that nobody was there for is asked again
    WELCOME_MS = 5000
};

typedef struct asking asking_t;

typedef struct {
    asking_t *owner;
    cli_stress_question_t *question;
} one_t;

struct asking {
    cli_connect_t *connect;
    uint64_t deadline_ms; // boot clock
    unsigned timeout_ms;
    size_t count;
    size_t left; // that are not answered yet
    one_t ones[CLI_STRESS_ASK_MAX];
};

static void ask_one(void *arg);

static void
on_answer(void *arg, const client_answer_t *answer)
{
    one_t *one = arg;
    asking_t *self = one->owner;
    cli_stress_question_t *question = one->question;
    bool wants_reply = question->want == 0 || (question->want & CLIENT_WANT_REPLY) != 0;
    question->seq = answer->seq != 0 ? answer->seq : question->seq;
    if ((answer->event == CLIENT_ACKED && wants_reply) || answer->err == BUS_ABORTED) {
        return;
    }
    bool nobody = answer->err == BUS_NO_RESPONDERS || answer->err == BUS_SERVICE_UNAVAILABLE;
    if (nobody && clock_boot_ms() + AGAIN_MS < self->deadline_ms) {
        loop_add_timer(self->connect->loop, AGAIN_MS, 1, ask_one, one);
        return;
    }
    question->err = answer->err;
    if (answer->body.data != NULL) {
        pack_raw(question->answer, answer->body);
    }
    if (--self->left == 0) {
        cli_connect_end(self->connect, CLI_DONE);
    }
}

static void
ask_one(void *arg)
{
    one_t *one = arg;
    asking_t *self = one->owner;
    cli_stress_question_t *question = one->question;
    const client_message_t message = {
        .topic = question->topic,
        .body = question->body.data == NULL ? PACK_EMPTY_MAP : question->body,
        .want = question->want == 0 ? CLIENT_WANT_REPLY : question->want,
        .timeout_ms = self->timeout_ms,
    };
    bus_err_t err = client_send(self->connect->client, &message, on_answer, one, NULL);
    if (err != BUS_OK) {
        cli_connect_end(self->connect,
                        cli_fail(CLI_NO_ANSWER, "%s: %s", question->topic, error_meaning(err)));
    }
}

static void
begin(void *arg, cli_connect_t *connect)
{
    asking_t *self = arg;
    self->connect = connect;
    for (size_t i = 0; i < self->count; ++i) {
        ask_one(&self->ones[i]);
    }
}

int
cli_stress_ask(const cli_stress_instance_t *instance,
               cli_stress_question_t *questions,
               size_t count,
               unsigned timeout_ms)
{
    assert(count > 0 && count <= CLI_STRESS_ASK_MAX);
    asking_t self = {.deadline_ms = clock_boot_ms() + timeout_ms,
                     .timeout_ms = timeout_ms,
                     .count = count,
                     .left = count};
    for (size_t i = 0; i < count; ++i) {
        self.ones[i] = (one_t){.owner = &self, .question = &questions[i]};
        questions[i].err = BUS_TIMEOUT;
        questions[i].answer = pack_new();
    }
    const cli_place_t place = {.ingress = cli_stress_instance_ingress(instance),
                               .egress = cli_stress_instance_egress(instance)};
    const cli_connect_options_t options = {
        .place = &place,
        .source = "bhiv_stress",
        .timeout_ms = WELCOME_MS,
        .ready = begin,
        .arg = &self,
    };
    return cli_connect_run(&options);
}

void
cli_stress_ask_clear(cli_stress_question_t *questions, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        pack_destroy(&questions[i].answer);
    }
}
