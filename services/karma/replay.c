// replay.c - a user's state made once more, from what is kept of what they did.
//
// A portion at a time, each in a read transaction of its own, so that commands and other questions
// have their turn in between: a million events take a second or two. What the user does meanwhile
// is left out: a replay goes up to the event that was the last when it was asked for.
#include "replay.h"
#include "intake.h"
#include "operations.h"
#include "proto/rfc3339.h"
#include "relive.h"
#include "show.h"
#include "user.h"
#include <assert.h>
#include <stdlib.h>

enum { PORTION = 1000 }; // records; about a millisecond

struct karma_replay {
    service_question_t *question; // NULL: not deferred yet
    karma_ledger_t kept;          // the state to compare with
    bool is_cut;                  // of another time: there is none
    karma_event_walk_t walk;
    karma_relive_t relive; // its user_id is the view of this one
    char user_id[KARMA_USER_ID_MAX];
};

static karma_replay_t *
new_replay(bus_view_t user_id, const karma_ledger_t *kept)
{
    karma_replay_t *self = calloc(1, sizeof *self);
    assert(self != NULL); // memory running out ends the process, as in pack.h
    self->kept = *kept;
    memcpy(self->user_id, user_id.data, user_id.size);
    self->relive.user_id = view_from(self->user_id, user_id.size);
    self->relive.until = UINT64_MAX;
    karma_event_walk_init(&self->walk, kept->last_event, KARMA_REPLAY_MAX);
    return self;
}

static void
destroy_replay(karma_replay_t **self_p)
{
    if (*self_p != NULL) {
        karma_event_walk_clear(&(*self_p)->walk);
        free(*self_p);
        *self_p = NULL;
    }
}

// BUS_BUSY: there is more to do. Else it is over, and this is to be concluded.
static bus_err_t
go_on(karma_replay_t *self, store_txn_t *txn)
{
    return karma_event_walk(txn, &self->walk, PORTION, karma_relive_event, &self->relive);
}

static void
pack_replay(pack_t *out, const karma_replay_t *replay)
{
    const karma_ledger_t *ledger = &replay->relive.ledger;
    char made_hash[KARMA_HASH_SIZE];
    char kept_hash[KARMA_HASH_SIZE];
    karma_user_hash(ledger, made_hash);
    pack_map(out, 6 + KARMA_SHOW_SCORES + (replay->is_cut ? 0 : 1));
    if (!replay->is_cut) {
        karma_user_hash(&replay->kept, kept_hash);
        pack_pair_bool(out, "matches", strcmp(kept_hash, made_hash) == 0);
    }
    pack_pair_text(out, "state_hash", made_hash);
    pack_pair_uint(out, "events", replay->relive.events);
    karma_show_scores(out, ledger);
    pack_pair_real(out, "weighted_karma_score", karma_ledger_weighted(ledger));
    karma_show_balances(out, "balances", ledger);
    karma_show_action_stats(out, ledger);
    karma_show_updated(out, ledger);
}

// What a replay that is over came to: packs the answer, or says why there is none.
static bus_err_t
conclude(const karma_replay_t *self, bus_err_t err, pack_t *out, const char **reterr_message)
{
    *reterr_message = NULL;
    if (err == BUS_PAYLOAD_TOO_LARGE) {
        *reterr_message = "this user has more events than one replay takes";
        return err;
    }
    if (err == BUS_NOT_FOUND && self->question != NULL) {
        *reterr_message = "the user was removed while it was replayed";
        return BUS_ABORTED;
    }
    if (err == BUS_NOT_FOUND) {
        return BUS_CORRUPT; // another record says that it is there
    }
    if (err != BUS_OK && err != BUS_ABORTED) { // that it comes to an end before the last is fine
        return err;
    }
    if (self->relive.events == 0 && self->is_cut) {
        *reterr_message = "there was no such user then";
        return BUS_USER_NOT_FOUND;
    }
    if (self->relive.events == 0) {
        return BUS_CORRUPT; // a user without the event that made them
    }
    pack_replay(out, self);
    return BUS_OK;
}

// --- Those that are under way --------------------------------------------------------------------

static void
answer_later(karma_replay_t *self, bus_err_t err)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    const char *message = NULL;
    err = conclude(self, err, out, &message);
    if (err != BUS_OK) {
        pack_clear(out);
        schema_pack_error(out, err, message, VIEW_NONE, 0);
    }
    service_question_answer(&self->question, err, pack_view(out));
}

// A portion of the one whose turn it is.
static void
on_turn(void *queue)
{
    karma_replays_t *self = queue;
    karma_replay_t *replay = self->at[0];
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = service_begin_read(self->service, &txn);
    if (err == BUS_OK) {
        err = go_on(replay, txn);
    }
    self->count--;
    for (size_t i = 0; i < self->count; i++) {
        self->at[i] = self->at[i + 1];
    }
    if (err == BUS_BUSY) {
        self->at[self->count++] = replay;
        return;
    }
    answer_later(replay, err);
    destroy_replay(&replay);
    if (self->count == 0) {
        loop_cancel_timer(service_loop(self->service), self->timer);
    }
}

// Takes the replay, if there is room for it.
static bus_err_t
defer(service_query_t *query, karma_replay_t **replay_p)
{
    karma_replays_t *self = &((karma_state_t *) query->state)->replays;
    if (self->count == KARMA_REPLAYS_MAX) {
        return BUS_BUSY;
    }
    service_question_t *question = service_query_defer(query);
    if (question == NULL) {
        return BUS_BUSY;
    }
    (*replay_p)->question = question;
    if (self->count == 0) {
        self->service = query->service;
        self->timer = loop_add_timer(service_loop(query->service), 0, 0, on_turn, self);
    }
    self->at[self->count++] = *replay_p;
    *replay_p = NULL;
    return BUS_OK;
}

void
karma_replay_clear(karma_replays_t *self)
{
    while (self->count > 0) {
        destroy_replay(&self->at[--self->count]);
    }
}

// --- The question --------------------------------------------------------------------------------

bus_err_t
karma_replay(service_query_t *self, const void *message_)
{
    const schema_karma_replay_query_t *message = message_;
    bool is_cut = message->until.data != NULL;
    uint64_t until = UINT64_MAX;
    if (is_cut && rfc3339_parse(message->until, &until) != BUS_OK) {
        return karma_intake_refuse_asked(self, "until", "is no RFC 3339 time");
    }
    karma_ledger_t ledger;
    bus_err_t err = karma_intake_asked(self, message->user_id, &ledger);
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(destroy_replay) karma_replay_t *replay = new_replay(message->user_id, &ledger);
    replay->is_cut = is_cut;
    replay->relive.until = until;
    err = ledger.actions > KARMA_REPLAY_MAX ? BUS_PAYLOAD_TOO_LARGE // found out early
                                            : go_on(replay, self->txn);
    if (err == BUS_BUSY) {
        return defer(self, &replay);
    }
    const char *why = NULL;
    err = conclude(replay, err, self->answer, &why);
    return why != NULL ? service_query_refuse(self, err, why, VIEW_NONE) : err;
}
