// service_asker.h - several who ask the small service at once, each with what came of it.
#pragma once
#include "service_fixture.h"

// One asker, and what came of it.
typedef struct {
    fixture_t *fixture;
    uint64_t seq; // of the command, once acked
    bus_err_t err;
    unsigned answers;
    int64_t done; // of the answer's body
} asker_t;

static inline void
on_asker(void *arg, const client_answer_t *answer)
{
    asker_t *self = arg;
    self->seq = answer->seq != 0 ? answer->seq : self->seq;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    bus_view_t value;
    self->answers++;
    self->err = answer->err;
    self->done = -1;
    if (answer->body.data != NULL && walk_find(answer->body, "done", &value) == BUS_OK) {
        cr_assert_eq(walk_as_int(value, &self->done), BUS_OK);
    }
}

static inline bool
is_acked(void *arg)
{
    return ((asker_t *) arg)->seq != 0;
}

static inline bool
is_told(void *arg)
{
    return ((asker_t *) arg)->answers > 0;
}

static inline void
await_told(asker_t *asker)
{
    cr_assert(fake_run(asker->fixture->loop, is_told, asker, WAIT_MS), "never answered");
    cr_assert_eq(asker->answers, 1);
}
