// window.c - how many of the live queue's last tasks kept their SLA. See window.h.
#include "window.h"

#define WINDOW_KEY VIEW_LITERAL("queue")

double
brain_window_share(const brain_window_t *self)
{
    uint64_t met = 0;
    for (uint64_t i = 0; i < self->count; i++) {
        met += self->met[i];
    }
    return self->count == 0 ? 1 : (double) met / (double) self->count;
}

bool
brain_window_take(
    brain_window_t *self, const brain_config_t *config, uint64_t at, bool met, double *ret_share)
{
    self->met[self->next] = met ? 1 : 0;
    self->next = (self->next + 1) % BRAIN_WINDOW_TASKS;
    self->count += self->count < BRAIN_WINDOW_TASKS ? 1 : 0;
    bool is_early = self->told_at != 0 && at < self->told_at + config->cooldown_us;
    if (self->count < BRAIN_WINDOW_LEAST || is_early) {
        return false;
    }
    self->told_at = at;
    *ret_share = brain_window_share(self);
    return true;
}

bus_err_t
brain_window_load(store_txn_t *txn, brain_window_t *ret_window)
{
    bus_err_t err =
        brain_tables_get(txn, BRAIN_SINGLES, WINDOW_KEY, ret_window, sizeof *ret_window);
    // A record of the right size is ours; one that was tampered with may not lead out of bounds.
    if (ret_window->count > BRAIN_WINDOW_TASKS || ret_window->next >= BRAIN_WINDOW_TASKS) {
        *ret_window = (brain_window_t){.count = 0};
    }
    return err;
}

bus_err_t
brain_window_save(store_txn_t *txn, const brain_window_t *window)
{
    return store_put(txn, BRAIN_SINGLES, WINDOW_KEY, view_from(window, sizeof *window));
}
