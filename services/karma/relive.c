// relive.c - a user's events applied once more to a new ledger.
//
// The Q-table is everybody's and is not compared: no user's state depends on it, so a throw-away
// one takes the steps. What an atonement completed is kept with its event, so the plans need not be
// made again.
#include "relive.h"

static bool
is_word(bus_view_t text)
{
    return text.size >= 1 && text.size <= KARMA_WORD_MAX;
}

static bus_err_t
live_once_more(karma_relive_t *self, const karma_event_t *event)
{
    karma_deed_t deed = {
        .action = karma_rules_action(event->action),
        .role = event->role,
        .at = event->at,
        .harms_other = event->affected.data != NULL && !view_equal(event->affected, self->user_id),
    };
    if (deed.action == NULL) {
        return BUS_CORRUPT;
    }
    karma_outcome_t outcome;
    karma_ledger_apply(&self->ledger, &self->qtable, &deed, &outcome);
    return BUS_OK;
}

static bus_err_t
atone_once_more(karma_relive_t *self, const karma_event_t *event)
{
    const karma_atonement_row_t *completed = NULL;
    for (size_t i = 0; i < karma_rules.atonement_count && event->class_.data != NULL; i++) {
        const karma_atonement_row_t *row = &karma_rules.atonements[i];
        if (view_is(event->class_, karma_rules.balances[row->balance].class_)) {
            completed = row;
        }
    }
    if (event->class_.data != NULL && completed == NULL) {
        return BUS_CORRUPT;
    }
    karma_outcome_t outcome;
    karma_ledger_atone(&self->ledger, &self->qtable, completed, event->at, &outcome);
    return BUS_OK;
}

static bus_err_t
redeem_once_more(karma_relive_t *self, const karma_event_t *event)
{
    karma_balance_t balance = karma_rules_token(event->token);
    karma_ledger_decay(&self->ledger, event->at);
    if (balance == KARMA_BALANCE_NONE || !(event->amount > 0.0) ||
        self->ledger.balance[balance] < event->amount) {
        return BUS_CORRUPT;
    }
    karma_outcome_t outcome;
    karma_ledger_redeem(&self->ledger, balance, event->amount, &outcome);
    return BUS_OK;
}

bus_err_t
karma_relive_event(void *relive, const karma_event_t *event)
{
    karma_relive_t *self = relive;
    if (event->at > self->until) {
        return BUS_ABORTED;
    }
    if (event->kind.data == NULL && !is_word(event->role)) {
        return BUS_CORRUPT;
    }
    if (self->events++ == 0) {
        if (event->kind.data != NULL) {
            return BUS_CORRUPT; // the first is a life event, or the making of a test user
        }
        karma_ledger_init(&self->ledger, event->role, event->at);
    }
    if (event->kind.data == NULL) {
        return event->action.data == NULL ? BUS_OK : live_once_more(self, event);
    }
    if (view_is(event->kind, KARMA_KIND_APPEAL)) {
        karma_ledger_appeal(&self->ledger, event->at);
        return BUS_OK;
    }
    if (view_is(event->kind, KARMA_KIND_ATONEMENT)) {
        return atone_once_more(self, event);
    }
    if (view_is(event->kind, KARMA_KIND_REDEEM)) {
        return redeem_once_more(self, event);
    }
    if (view_is(event->kind, KARMA_KIND_DEATH)) {
        karma_end_t end;
        karma_ledger_die(&self->ledger, event->at, &end);
        return BUS_OK;
    }
    return BUS_CORRUPT;
}
