// booking.c - writing one command's consequences.
#include "booking.h"
#include "key.h"
#include "rank.h"
#include "tables.h"
#include "user.h"
#include <assert.h>

void
karma_booking_add(karma_booking_t *self, karma_balance_t balance, double delta)
{
    assert(self->move_count < KARMA_MOVES_MAX);
    self->moves[self->move_count++] = (karma_move_t){.balance = balance, .delta = delta};
}

static pack_t *
scratch_of(const service_apply_t *self)
{
    return ((karma_state_t *) self->state)->record;
}

// The growth of a count from one ledger of the user to the next.
static uint64_t
grown(const karma_ledger_t *before, const karma_ledger_t *after, size_t offset)
{
    uint64_t old = 0;
    uint64_t new;
    if (before != NULL) {
        memcpy(&old, (const char *) before + offset, sizeof old);
    }
    memcpy(&new, (const char *) after + offset, sizeof new);
    assert(new >= old);
    return new - old;
}

static void
count_totals(karma_totals_t *totals, const karma_booking_t *booking)
{
    const karma_ledger_t *before = booking->before;
    const karma_ledger_t *after = booking->after;
    totals->events++;
    totals->actions += grown(before, after, offsetof(karma_ledger_t, actions));
    totals->appeals += grown(before, after, offsetof(karma_ledger_t, appeals));
    totals->atoned += grown(before, after, offsetof(karma_ledger_t, atoned));
    totals->deaths += grown(before, after, offsetof(karma_ledger_t, lives));
    totals->redemptions += view_is(booking->event->kind, KARMA_KIND_REDEEM) ? 1 : 0;
    totals->last_at = booking->at;
}

static karma_sum_t
make_sum(const karma_booking_t *booking)
{
    karma_sum_t sum = {.count = 1};
    for (size_t i = 0; i < booking->move_count && booking->is_summed; i++) {
        karma_sum_pay(&sum, booking->moves[i].balance, booking->moves[i].delta);
    }
    return sum;
}

static void
tell_one(service_apply_t *self, const karma_booking_t *booking, const karma_move_t *move)
{
    pack_t *body = ((karma_state_t *) self->state)->told;
    schema_karma_changed_t changed = {
        .user_id = booking->user_id,
        .action = booking->action,
        .delta = {.has = true, .value = move->delta},
        .merit_score = {.has = true, .value = karma_ledger_merit(booking->after)},
        .role = view_from_text(karma_rules.roles[booking->after->ladder].word),
        .role_changed = {.has = true, .value = booking->role_changed},
        .seq = {.has = true, .value = (int64_t) self->header->seq},
    };
    if (move->balance < KARMA_BALANCE_COUNT) {
        const karma_balance_row_t *row = &karma_rules.balances[move->balance];
        changed.token = view_from_text(row->token);
        changed.class = row->class_[0] != '\0' ? view_from_text(row->class_) : VIEW_NONE;
    }
    pack_clear(body);
    schema_encode(&SCHEMA_karma_changed, &changed, body);
    service_tell(self, SCHEMA_karma_changed.topic, pack_view(body));
}

// What all users share and is damaged stays as it is: the question for it says so, a rebuild
// repairs it, and karma goes on. *ret_counts: whether the totals are whole, and to be saved.
static bus_err_t
load_totals(service_apply_t *self, karma_totals_t *ret_totals, bool *ret_counts)
{
    *ret_totals = (karma_totals_t){.events = 0};
    bus_err_t err = karma_totals_load(self->txn, ret_totals);
    *ret_counts = err == BUS_OK;
    return err == BUS_CORRUPT ? BUS_OK : err;
}

// What belongs to the user.
static bus_err_t
write_user(service_apply_t *self, const karma_booking_t *booking)
{
    pack_t *scratch = scratch_of(self);
    booking->event->prev = booking->before != NULL ? booking->before->last_event : 0;
    booking->after->last_event = booking->event->seq;
    bus_err_t err = karma_user_save(self->txn, booking->user_id, booking->after, scratch);
    if (err == BUS_OK) {
        err = karma_event_put(self->txn, booking->event, scratch);
    }
    if (err == BUS_OK) {
        err = karma_rank_move(self->txn, booking->user_id, booking->before, booking->after);
    }
    return err;
}

bus_err_t
karma_booking_write(service_apply_t *self, const karma_booking_t *booking)
{
    pack_t *scratch = scratch_of(self);
    karma_totals_t totals;
    bool counts = false;
    bus_err_t err = load_totals(self, &totals, &counts);
    if (err != BUS_OK) {
        return err;
    }
    count_totals(&totals, booking);
    karma_sum_t sum = make_sum(booking);
    err = write_user(self, booking);
    if (err == BUS_OK) {
        err = karma_sum_save(self->txn, booking->at, &sum, scratch);
    }
    if (err == BUS_OK && counts) {
        err = karma_totals_save(self->txn, &totals, scratch);
    }
    if (err == BUS_OK && booking->learned != NULL) {
        err = karma_qtable_save(self->txn, booking->learned, scratch);
    }
    for (size_t i = 0; i < booking->move_count && err == BUS_OK; i++) {
        tell_one(self, booking, &booking->moves[i]);
    }
    return err;
}

bus_err_t
karma_booking_create(service_apply_t *self,
                     bus_view_t user_id,
                     karma_ledger_t *ledger,
                     karma_event_t *event)
{
    karma_booking_t booking = {.user_id = user_id, .after = ledger, .event = event};
    return write_user(self, &booking);
}

bus_err_t
karma_booking_remove(service_apply_t *self, bus_view_t user_id, const karma_ledger_t *ledger)
{
    static const unsigned tables[] = {KARMA_PLANS, KARMA_PROOFS};
    karma_totals_t totals;
    bool counts = false;
    bus_err_t err = load_totals(self, &totals, &counts);
    if (err != BUS_OK) {
        return err;
    }
    totals.actions -= ledger->actions;
    totals.appeals -= ledger->appeals;
    totals.atoned -= ledger->atoned;
    totals.deaths -= ledger->lives;
    err = store_del(self->txn, KARMA_USERS, user_id);
    if (err == BUS_OK) {
        err = karma_rank_move(self->txn, user_id, ledger, NULL);
    }
    if (err == BUS_OK) {
        err = karma_event_clear(self->txn, ledger->last_event);
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && err == BUS_OK; i++) {
        err = karma_key_clear(self->txn, tables[i], user_id);
    }
    return err == BUS_OK && counts ? karma_totals_save(self->txn, &totals, scratch_of(self)) : err;
}
