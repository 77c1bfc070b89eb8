// fake_wait.c - running a loop until something is so. See fake_broker.h.
#include "fake_broker.h"
#include "runtime/clock.h"

typedef struct {
    loop_t *loop;
    fake_done_fn *is_done;
    void *arg;
    uint64_t until_ms;
    bool done;
} waiting_t;

static void
look(void *arg)
{
    waiting_t *waiting = arg;
    waiting->done = waiting->is_done != NULL && waiting->is_done(waiting->arg);
    if (waiting->done || clock_boot_ms() >= waiting->until_ms) {
        loop_stop(waiting->loop);
    }
}

bool
fake_run(loop_t *loop, fake_done_fn *is_done, void *arg, unsigned timeout_ms)
{
    waiting_t waiting = {
        .loop = loop, .is_done = is_done, .arg = arg, .until_ms = clock_boot_ms() + timeout_ms};
    int timer = loop_add_timer(loop, 1, 0, look, &waiting);
    loop_run(loop);
    loop_cancel_timer(loop, timer);
    return waiting.done;
}

void
fake_run_for(loop_t *loop, unsigned ms)
{
    fake_run(loop, NULL, NULL, ms);
}
