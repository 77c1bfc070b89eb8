// life_event.c - somebody acted, and karma moves.
//
// The whole of Karma in one function: read the user and the Q-table, apply the rules (ledger.c),
// write what follows from it (booking.c), answer. What can be refused is refused before the first
// write. What the ledger is moved by (the time, the action's word, the caller's role, whether
// another was harmed) is kept with the event, so that a replay needs nothing else.
#include "agent.h"
#include "booking.h"
#include "intake.h"
#include "operations.h"
#include "proto/rfc3339.h"
#include <stdio.h>

// Whom a cheat harmed: nobody but another user.
static bool
harms_other(const schema_life_event_t *message)
{
    return message->affected_user_id.data != NULL &&
           !view_equal(message->affected_user_id, message->user_id);
}

static karma_event_t
describe(const service_apply_t *self,
         const schema_life_event_t *message,
         const karma_deed_t *deed,
         const karma_outcome_t *outcome)
{
    karma_event_t event = karma_intake_event(self, deed->at, message->source);
    event.role = message->role;
    event.action = message->action;
    event.intent = view_from_text(deed->action->intent);
    event.reward = outcome->reward;
    event.merit = outcome->merit;
    event.became = view_from_text(karma_rules.roles[outcome->role].word);
    event.note = message->note;
    event.context = message->context;
    event.metadata = message->metadata;
    event.timestamp = message->timestamp;
    event.affected = message->affected_user_id;
    event.described = message->relationship_description;
    event.owed = outcome->owed;
    if (deed->action->balance != KARMA_BALANCE_NONE) {
        const karma_balance_row_t *balance = &karma_rules.balances[deed->action->balance];
        event.token = view_from_text(balance->token);
        event.class_ = balance->class_[0] != '\0' ? view_from_text(balance->class_) : VIEW_NONE;
    }
    if (outcome->cheat != NULL) {
        event.cheat = view_from_text(outcome->cheat->word);
    }
    return event;
}

static void
pack_debt(pack_t *out,
          const schema_life_event_t *message,
          const karma_deed_t *deed,
          const karma_outcome_t *outcome)
{
    char time[RFC3339_SIZE];
    rfc3339_format(deed->at, time);
    pack_text(out, "rnanubandhan_relationship");
    pack_map(out, 8);
    pack_pair_str(out, "debtor_id", message->user_id);
    pack_pair_str(out, "receiver_id", message->affected_user_id);
    pack_pair_str(out, "action_type", message->action);
    pack_pair_text(out, "severity", karma_rules.balances[outcome->debt->balance].class_);
    pack_pair_real(out, "amount", outcome->owed);
    pack_pair_str(out, "description", message->relationship_description);
    pack_pair_text(out, "status", "active");
    pack_pair_text(out, "created_at", time);
}

static void
pack_penalty(pack_t *out, const karma_event_t *event, const karma_outcome_t *outcome)
{
    pack_pair_str(out, "penalty_token", event->token);
    pack_pair_real(out, "penalty_value", outcome->reward);
    pack_pair_uint(out, "penalty_level", outcome->cheats);
    pack_pair_text(out, "penalty_name", outcome->cheat->word);
    pack_pair_uint(out, "cheats_in_period", outcome->cheats);
    pack_pair_text(
        out, "action_flow", "action -> intent -> penalty_level -> punishment -> role_adjustment");
}

// docs/originals.md 1.5. The predicted role is the one that the Q step saw: that of the merit with
// the reward in it, and so the current one.
static void
answer(pack_t *out,
       const schema_life_event_t *message,
       const karma_deed_t *deed,
       const karma_event_t *event,
       const karma_outcome_t *outcome)
{
    bool owes = outcome->debt != NULL;
    pack_map(out, (outcome->cheat != NULL ? 12U : 9U) + (owes ? 1U : 0U));
    pack_pair_str(out, "user_id", message->user_id);
    pack_pair_str(out, "action", message->action);
    pack_pair_str(out, "current_role", event->became);
    pack_pair_str(out, "predicted_next_role", event->became);
    pack_pair_real(out, "merit_score", outcome->merit);
    if (outcome->cheat != NULL) {
        pack_penalty(out, event, outcome);
    } else {
        unsigned balance = deed->action->balance;
        pack_pair_str(out, "reward_token", event->token);
        pack_pair_text(out,
                       "reward_tier",
                       balance == KARMA_BALANCE_NONE ? "none" : karma_rules.balances[balance].tier);
        pack_pair_text(
            out, "action_flow", "action -> intent -> merit -> reward_tier -> redemption");
    }
    pack_pair_str(out, "note", message->note);
    if (owes) {
        pack_debt(out, message, deed, outcome);
    }
}

static karma_booking_t
book(const schema_life_event_t *message, const karma_deed_t *deed, const karma_outcome_t *outcome)
{
    karma_booking_t booking = {
        .user_id = message->user_id,
        .at = deed->at,
        .action = message->action,
        .role_changed = outcome->role_changed,
        .is_summed = true,
    };
    karma_booking_add(&booking, (karma_balance_t) deed->action->balance, outcome->reward);
    if (outcome->debt != NULL) {
        karma_booking_add(&booking, (karma_balance_t) outcome->debt->balance, outcome->owed);
    }
    return booking;
}

bus_err_t
karma_life_event(service_apply_t *self, const void *message_)
{
    const schema_life_event_t *message = message_;
    karma_deed_t deed = {
        .action = karma_rules_action(message->action),
        .role = message->role,
        .harms_other = harms_other(message),
    };
    if (deed.action == NULL) {
        return service_refuse(self, BUS_INVALID_REQUEST, "Invalid action.", VIEW_NONE);
    }
    bus_err_t err = karma_intake_time(self, message->effective_at, message->timestamp, &deed.at);
    if (err != BUS_OK) {
        return err;
    }
    karma_ledger_t before;
    err = karma_intake_user(self, message->user_id, &before);
    bool is_new = err == BUS_NOT_FOUND;
    if (is_new) {
        karma_ledger_init(&before, message->role, deed.at);
    } else if (err != BUS_OK) {
        return err;
    }
    karma_qtable_t qtable;
    bool learns = false;
    err = karma_intake_qtable(self, &qtable, &learns);
    if (err != BUS_OK) {
        return err;
    }

    karma_ledger_t ledger = before;
    karma_outcome_t outcome;
    karma_ledger_apply(&ledger, &qtable, &deed, &outcome);
    karma_event_t event = describe(self, message, &deed, &outcome);
    karma_booking_t booking = book(message, &deed, &outcome);
    booking.before = is_new ? NULL : &before;
    booking.after = &ledger;
    booking.event = &event;
    booking.learned = outcome.learned && learns ? &qtable : NULL;
    err = karma_booking_write(self, &booking);
    if (err == BUS_OK) {
        karma_agent_deed_t done = {deed.action, message->context, message->user_id, deed.at};
        err = karma_agent_note(self->txn, self->state, &done);
    }
    if (err == BUS_OK) {
        answer(self->answer, message, &deed, &event, &outcome);
    }
    return err;
}
