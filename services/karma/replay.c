// replay.c - whether a user's state is what the kept events make of nothing.
//
// The Q-table is everybody's and is not compared: no user's state depends on it, so a throw-away
// one takes the steps.
#include "event.h"
#include "operations.h"
#include "user.h"

typedef struct {
    karma_ledger_t ledger;
    karma_qtable_t qtable;
    uint64_t events;
} replay_t;

static bus_err_t
replay_one(void *arg, const karma_event_t *event)
{
    replay_t *self = arg;
    if (event->role.size == 0 || event->role.size > KARMA_WORD_MAX) {
        return BUS_CORRUPT;
    }
    if (self->events++ == 0) {
        karma_ledger_init(&self->ledger, event->role, event->at);
    }
    if (event->action.data == NULL) {
        return BUS_OK; // the making of a test user, which is always the first
    }
    karma_deed_t deed = {
        .action = karma_rules_action(event->action),
        .role = event->role,
        .at = event->at,
    };
    if (deed.action == NULL) {
        return BUS_CORRUPT;
    }
    karma_outcome_t outcome;
    karma_ledger_apply(&self->ledger, &self->qtable, &deed, &outcome);
    return BUS_OK;
}

bus_err_t
karma_replay(service_query_t *self, const void *message_)
{
    const schema_karma_user_t *message = message_;
    karma_ledger_t ledger;
    bus_err_t err = karma_user_load(self->txn, message->user_id, &ledger);
    if (err == BUS_NOT_FOUND) {
        return service_query_refuse(self, BUS_USER_NOT_FOUND, "User not found", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (ledger.actions > KARMA_REPLAY_MAX) {
        return service_query_refuse(self,
                                    BUS_PAYLOAD_TOO_LARGE,
                                    "this user has more events than one replay takes",
                                    VIEW_NONE);
    }
    replay_t replay = {.events = 0};
    err = karma_event_each(self->txn, message->user_id, replay_one, &replay);
    if (err != BUS_OK) {
        return err;
    }
    char kept[KARMA_HASH_SIZE] = "";
    char made[KARMA_HASH_SIZE] = "";
    karma_user_hash(&ledger, kept);
    if (replay.events > 0) {
        karma_user_hash(&replay.ledger, made);
    }
    pack_map(self->answer, 3);
    pack_pair_bool(self->answer, "matches", strcmp(kept, made) == 0);
    pack_pair_text(self->answer, "state_hash", made);
    pack_pair_uint(self->answer, "events", replay.events);
    return BUS_OK;
}
