// life_event.c - somebody acted, and karma moves.
//
// The whole of Karma in one function: read the user and the Q-table, apply the rules (ledger.c),
// write the user, the event and the Q-table, answer, tell. What can be refused is refused before
// the first write. What the ledger is moved by (the time, the action's word, the caller's role) is
// kept with the event, so that a replay needs nothing else.
#include "event.h"
#include "operations.h"
#include "proto/rfc3339.h"
#include "user.h"

static bus_err_t
refuse_field(service_apply_t *self, const char *field, const char *problem)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_problems_t problems = {.count = 1, .at = {{.field = field, .problem = problem}}};
    schema_pack_problems(&problems, details);
    return service_refuse(self, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

// The time to apply with: the journal's, or a test's own where that is enabled.
static bus_err_t
find_time(service_apply_t *self, const schema_life_event_t *message, uint64_t *ret_at)
{
    if (message->effective_at.data == NULL) {
        *ret_at = self->header->at;
        return BUS_OK;
    }
    bool enabled = false;
    bus_err_t err = karma_tables_test_helpers(self->txn, &enabled);
    if (err != BUS_OK) {
        return err;
    }
    if (!enabled) {
        return service_refuse(
            self, BUS_FORBIDDEN, "effective_at needs the test helpers", VIEW_NONE);
    }
    if (rfc3339_parse(message->effective_at, ret_at) != BUS_OK) {
        return refuse_field(self, "effective_at", "is no RFC 3339 time");
    }
    return BUS_OK;
}

static karma_event_t
describe(const service_apply_t *self,
         const schema_life_event_t *message,
         const karma_deed_t *deed,
         const karma_outcome_t *outcome)
{
    karma_event_t event = {
        .seq = self->header->seq,
        .at = deed->at,
        .role = message->role,
        .action = message->action,
        .intent = view_from_text(deed->action->intent),
        .reward = outcome->reward,
        .merit = outcome->merit,
        .became = view_from_text(karma_rules.roles[outcome->role].word),
        .source = message->source.data != NULL ? message->source : self->header->source,
        .trace_id = self->header->trace_id,
        .note = message->note,
        .context = message->context,
        .metadata = message->metadata,
        .timestamp = message->timestamp,
    };
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

static bus_err_t
write_all(service_apply_t *self,
          bus_view_t user_id,
          const karma_ledger_t *ledger,
          const karma_event_t *event,
          const karma_qtable_t *moved)
{
    pack_t *scratch = ((karma_state_t *) self->state)->record;
    bus_err_t err = karma_user_save(self->txn, user_id, ledger, scratch);
    if (err != BUS_OK) {
        return err;
    }
    err = karma_event_put(self->txn, user_id, event, scratch);
    if (err != BUS_OK || moved == NULL) {
        return err;
    }
    return karma_qtable_save(self->txn, moved, scratch);
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
    bool cheat = outcome->cheat != NULL;
    pack_map(out, cheat ? 12 : 9);
    pack_pair_str(out, "user_id", message->user_id);
    pack_pair_str(out, "action", message->action);
    pack_pair_str(out, "current_role", event->became);
    pack_pair_str(out, "predicted_next_role", event->became);
    pack_pair_real(out, "merit_score", outcome->merit);
    if (cheat) {
        pack_pair_str(out, "penalty_token", event->token);
        pack_pair_real(out, "penalty_value", outcome->reward);
        pack_pair_uint(out, "penalty_level", outcome->cheats);
        pack_pair_text(out, "penalty_name", outcome->cheat->word);
        pack_pair_uint(out, "cheats_in_period", outcome->cheats);
        pack_pair_text(out,
                       "action_flow",
                       "action -> intent -> penalty_level -> punishment -> role_adjustment");
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
}

static void
tell(service_apply_t *self,
     const schema_life_event_t *message,
     const karma_event_t *event,
     const karma_outcome_t *outcome)
{
    pack_t *body = ((karma_state_t *) self->state)->told;
    schema_karma_changed_t changed = {
        .user_id = message->user_id,
        .action = message->action,
        .token = event->token,
        .delta = {.has = true, .value = outcome->reward},
        .merit_score = {.has = true, .value = outcome->merit},
        .role = event->became,
        .role_changed = {.has = true, .value = outcome->role_changed},
        .seq = {.has = true, .value = (int64_t) event->seq},
    };
    pack_clear(body);
    schema_encode(&SCHEMA_karma_changed, &changed, body);
    service_tell(self, SCHEMA_karma_changed.topic, pack_view(body));
}

bus_err_t
karma_life_event(service_apply_t *self, const void *message_)
{
    const schema_life_event_t *message = message_;
    karma_deed_t deed = {.action = karma_rules_action(message->action), .role = message->role};
    if (deed.action == NULL) {
        return service_refuse(self, BUS_INVALID_REQUEST, "Invalid action.", VIEW_NONE);
    }
    bus_err_t err = find_time(self, message, &deed.at);
    if (err != BUS_OK) {
        return err;
    }
    karma_ledger_t ledger;
    err = karma_user_load(self->txn, message->user_id, &ledger);
    if (err == BUS_NOT_FOUND) {
        karma_ledger_init(&ledger, message->role, deed.at);
    } else if (err != BUS_OK) {
        return err;
    }
    karma_qtable_t qtable;
    err = karma_qtable_load(self->txn, &qtable);
    if (err != BUS_OK) {
        return err;
    }

    karma_outcome_t outcome;
    karma_ledger_apply(&ledger, &qtable, &deed, &outcome);
    karma_event_t event = describe(self, message, &deed, &outcome);
    err = write_all(self, message->user_id, &ledger, &event, outcome.learned ? &qtable : NULL);
    if (err != BUS_OK) {
        return err;
    }
    answer(self->answer, message, &deed, &event, &outcome);
    tell(self, message, &event, &outcome);
    return BUS_OK;
}
