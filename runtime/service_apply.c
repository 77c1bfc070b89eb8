// service_apply.c - one record: has it been applied before, is it well-formed, what does the
// service make of it, and what is answered once that is durable.
//
// Answers and live messages are packed one behind the other while the batch is open, and leave
// after its commit: [kind, target, id, trace_id, error, body]. An undone batch forgets them.
#include "clock.h"
#include "log.h"
#include "proto/text.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "service_self.h"
#include <assert.h>

typedef enum { EFFECT_REPLY, EFFECT_TELL, EFFECT_COUNT } effect_t;

enum { EFFECT_FIELDS = 6, LOG_MS = 1000, TOPIC_LOG_SIZE = 300, WHY_LOG_SIZE = 300 };

// --- Which row -----------------------------------------------------------------------------------

// A prefix that ends in a dot takes what is below it; another takes itself and what is below it.
static bool
row_fits(const service_apply_row_t *row, bus_view_t topic)
{
    bus_view_t prefix = view_from_text(row->prefix);
    if (!view_starts(topic, prefix)) {
        return false;
    }
    return prefix.size == 0 || prefix.data[prefix.size - 1] == '.' || topic.size == prefix.size ||
           topic.data[prefix.size] == '.';
}

static const service_apply_row_t *
find_row(const service_t *self, bus_view_t topic)
{
    const service_apply_row_t *found = NULL;
    for (size_t i = 0; i < self->definition->apply_count; i++) {
        const service_apply_row_t *row = &self->definition->applies[i];
        if (row_fits(row, topic) &&
            (found == NULL || strlen(row->prefix) > strlen(found->prefix))) {
            found = row;
        }
    }
    return found;
}

// --- What leaves after the commit ----------------------------------------------------------------

static void
pack_text_or_nil(pack_t *out, bus_view_t text)
{
    if (text.data == NULL) {
        pack_nil(out);
    } else {
        pack_str(out, text);
    }
}

static void
add_effect(service_t *self,
           effect_t kind,
           bus_view_t target,
           const header_t *header,
           const service_answer_t *answer)
{
    pack_array(self->effects, EFFECT_FIELDS);
    pack_uint(self->effects, kind);
    pack_str(self->effects, target);
    pack_text_or_nil(self->effects, header->id);
    pack_text_or_nil(self->effects, header->trace_id);
    pack_uint(self->effects, answer->err);
    pack_raw(self->effects, answer->body);
    self->effect_count++;
}

// Whether the record's owner answers it: every command, and an event with an idempotency key. Not
// what another reducer says in consequence (it has a cause): nobody there could use an answer.
static bool
is_answered(const service_hand_t *hand)
{
    const header_t *header = &hand->record->header;
    return hand->row->replies && header->cause_seq == 0 &&
           (!hand->row->event || header->idem.data != NULL);
}

static void
add_reply(service_t *self, const service_answer_t *answer)
{
    const header_t *header = &self->hand.record->header;
    if (self->hand.is_young && header->reply_to.data != NULL && is_answered(&self->hand)) {
        add_effect(self, EFFECT_REPLY, header->reply_to, header, answer);
        self->is_awaited = true;
    }
}

static void
release_one(service_t *self, walk_t *walk)
{
    walk_item_t head, kind, target, id, trace, code;
    bus_view_t body;
    bool is_whole = walk_next(walk, &head) == BUS_OK && walk_next(walk, &kind) == BUS_OK &&
                    walk_next(walk, &target) == BUS_OK && walk_next(walk, &id) == BUS_OK &&
                    walk_next(walk, &trace) == BUS_OK && walk_next(walk, &code) == BUS_OK &&
                    walk_skip(walk, &body) == BUS_OK;
    assert(is_whole); // we packed it
    bus_view_t trace_id = trace.type == WALK_STR ? trace.bytes : VIEW_NONE;
    if (kind.integer == EFFECT_REPLY) {
        header_t asked = {.reply_to = target.bytes, .id = id.bytes, .trace_id = trace_id};
        client_reply(self->client, &asked, (bus_err_t) code.integer, body);
        return;
    }
    char topic[TOPIC_SIZE_MAX + 1];
    memcpy(topic, target.bytes.data, target.bytes.size);
    topic[target.bytes.size] = '\0';
    client_message_t message = {.topic = topic, .body = body, .trace_id = trace_id};
    // Live: lost where the queue is full.
    bus_err_t err = client_send(self->client, &message, NULL, NULL, NULL);
    if (err != BUS_OK) {
        log_debug("live_dropped", "topic=%s error=%s", topic, error_text(err));
    }
}

void
service_apply_release(service_t *self)
{
    walk_t walk = walk_from(pack_view(self->effects));
    for (uint32_t i = 0; i < self->effect_count; i++) {
        release_one(self, &walk);
    }
    pack_clear(self->effects);
    self->effect_count = 0;
}

void
service_apply_reply(service_t *self, const header_t *asked, const service_answer_t *answer)
{
    if (self->hand.is_young) {
        add_effect(self, EFFECT_REPLY, asked->reply_to, asked, answer);
        self->is_awaited = true;
    }
}

bus_view_t
service_apply_trace(const service_t *self)
{
    const service_hand_t *hand = &self->hand;
    return hand->has_trace ? hand->trace_id : hand->record->header.trace_id;
}

void
service_apply_tell(service_t *self, bus_view_t topic, bus_view_t body)
{
    if (self->hand.is_young) {
        header_t header = {.trace_id = service_apply_trace(self)};
        service_answer_t live = {.err = BUS_OK, .body = body};
        add_effect(self, EFFECT_TELL, topic, &header, &live);
    }
}

// --- Applying ------------------------------------------------------------------------------------

// Fields and what is wrong with each, never a value.
static void
add_problems(text_t *out, bus_view_t problems)
{
    bus_view_t problem;
    walk_items_t items = walk_items(problems);
    while (walk_items_next(&items, &problem)) {
        bus_view_t field = walk_text_at(problem, "field");
        bus_view_t what = walk_text_at(problem, "problem");
        text_add_format(out,
                        "%s%.*s: %.*s",
                        text_view(out).size == 0 ? "" : "; ",
                        (int) field.size,
                        field.data == NULL ? "" : field.data,
                        (int) what.size,
                        what.data == NULL ? "" : what.data);
    }
}

// Once a second at most: how many, and the last of them, with what was wrong in it: who only
// published it hears of it nowhere else.
static void
log_refusal(service_t *self, bus_err_t err)
{
    self->refusals_unlogged++;
    uint64_t now_ms = clock_boot_ms();
    if (now_ms < self->refusals_logged_ms + LOG_MS) {
        return;
    }
    char topic[TOPIC_LOG_SIZE];
    char why[WHY_LOG_SIZE];
    bus_view_t said = view_from_text(self->hand.message);
    BUS_AUTO(text_destroy) text_t *problems = text_new();
    if (said.size == 0 && err == BUS_VALIDATION_FAILED && self->hand.has_details) {
        add_problems(problems, pack_view(self->details));
        said = text_view(problems);
    }
    log_warning("refused",
                "count=%llu seq=%llu topic=%s error=%s%s%s",
                (unsigned long long) self->refusals_unlogged,
                (unsigned long long) self->hand.record->header.seq,
                log_escape(self->hand.record->topic, topic, sizeof(topic)),
                error_text(err),
                said.size == 0 ? "" : " why=",
                said.size == 0 ? "" : log_escape(said, why, sizeof(why)));
    self->refusals_logged_ms = now_ms;
    self->refusals_unlogged = 0;
}

// What the record is answered, from what apply left in `answer`, or in the hand by refusing.
static service_answer_t
make_answer(service_t *self, bus_err_t err)
{
    service_answer_t answer = {.err = err, .body = pack_view(self->answer)};
    if (answer.body.size > INBOX_BODY_SIZE_MAX) {
        answer.err = BUS_PAYLOAD_TOO_LARGE;
    } else if (answer.body.size > 0) {
        return answer;
    } else if (err == BUS_OK) {
        answer.body = PACK_EMPTY_MAP;
        return answer;
    }
    bus_view_t details = self->hand.has_details ? pack_view(self->details) : VIEW_NONE;
    pack_clear(self->body);
    schema_pack_error(self->body, answer.err, self->hand.message, details, 0);
    answer.body = pack_view(self->body);
    return answer;
}

// Whether a repeat of the record is to be known.
static bool
is_kept(const service_hand_t *hand)
{
    return !hand->row->read || hand->record->header.idem.data != NULL;
}

// Keeps what became of the record, and has it answered. `has_idem`: its key is its own.
static bus_err_t
conclude(service_t *self, store_txn_t *txn, bus_err_t result, bool has_idem)
{
    if (result == BUS_OK) {
        self->place.applied++;
    } else {
        self->place.refused++;
        log_refusal(self, result);
    }
    bool keeps = is_kept(&self->hand);
    bus_err_t err = BUS_OK;
    if (!self->hand.is_deferred && (result != BUS_OK || is_answered(&self->hand))) {
        service_answer_t answer = make_answer(self, result);
        if (keeps) {
            const client_heard_t *record = self->hand.record;
            err = service_store_put_answer(self, txn, record->header.seq, record->topic, &answer);
        }
        if (err == BUS_OK) {
            add_reply(self, &answer);
        }
    }
    if (err != BUS_OK || !keeps) {
        return err;
    }
    return service_store_remember(self, txn, self->hand.record, has_idem);
}

// The record repeats record `original`: whoever asked is answered again.
static bus_err_t
answer_again(service_t *self, store_txn_t *txn, uint64_t original)
{
    self->place.duplicates++;
    service_answer_t answer;
    bus_err_t err = service_store_find_answer(self, txn, original, &answer);
    if (err == BUS_OK) {
        add_reply(self, &answer);
    }
    return err == BUS_NOT_FOUND ? service_act_wait(self, txn, original) : err;
}

// Another record, the same key, the same request.
static bus_err_t
repeat_idem(service_t *self, store_txn_t *txn, uint64_t original)
{
    bus_err_t err = answer_again(self, txn, original);
    if (err == BUS_OK) {
        err = service_store_put_alias(self, txn, self->hand.record->header.seq, original);
    }
    return err == BUS_OK ? service_store_remember(self, txn, self->hand.record, false) : err;
}

// Whether an error is the store's, and the batch is to be undone.
static bool
is_store_error(bus_err_t err)
{
    return err == BUS_FULL || err == BUS_IO || err == BUS_CORRUPT;
}

static service_apply_t
make_apply(service_t *self, store_txn_t *txn)
{
    const client_heard_t *record = self->hand.record;
    return (service_apply_t){
        .service = self,
        .state = self->state,
        .txn = txn,
        .header = &record->header,
        .topic = record->topic,
        .body = record->body,
        .answer = self->answer,
    };
}

// The harness refuses the record: the service may have a word in it.
static bus_err_t
refuse(service_t *self, store_txn_t *txn, bus_err_t why)
{
    if (self->definition->refused == NULL) {
        return why;
    }
    service_apply_t apply = make_apply(self, txn);
    bus_err_t err = self->definition->refused(&apply, why);
    err = self->hand.store_err != BUS_OK ? self->hand.store_err : err;
    assert(err == why || is_store_error(err));
    return err;
}

// Lets the service take the record. Returns what became of it; a store's error undoes the batch.
static bus_err_t
run(service_t *self, store_txn_t *txn)
{
    const client_heard_t *record = self->hand.record;
    const service_apply_row_t *row = self->hand.row;
    if (row->schema != NULL) {
        schema_problems_t problems = {.count = 0};
        bus_err_t err = schema_decode(row->schema, record->body, self->message, &problems);
        if (err != BUS_OK) {
            pack_clear(self->details);
            schema_pack_problems(&problems, self->details);
            self->hand.has_details = true;
            return refuse(self, txn, err);
        }
    }
    service_apply_t apply = make_apply(self, txn);
    bus_err_t err = row->apply(&apply, row->schema == NULL ? NULL : self->message);
    return self->hand.store_err != BUS_OK ? self->hand.store_err : err;
}

// Applies a record that repeats none, or refuses it for what the harness has against it.
static bus_err_t
take(service_t *self, store_txn_t *txn, bus_err_t why)
{
    pack_clear(self->answer);
    bus_err_t err = why == BUS_OK ? run(self, txn) : refuse(self, txn, why);
    if (is_store_error(err)) {
        return err;
    }
    if (self->definition->taken != NULL) {
        self->definition->taken(self->state, &self->hand.record->header, self->hand.row);
    }
    bool has_idem = why == BUS_OK && self->hand.record->header.idem.data != NULL;
    return conclude(self, txn, err, has_idem);
}

// Keeps the configuration that is applied from here on.
static bus_err_t
take_config(service_t *self, store_txn_t *txn, const client_heard_t *record)
{
    if (!service_config_is_own(self, record)) {
        return BUS_OK; // somebody else's word for it
    }
    return service_store_put_config(self, txn, record->body);
}

// Whether somebody may still wait for an answer. What was journaled since we are connected is as
// old as it is behind the youngest seen, by the boot clock that the journal's own follows: the wall
// clock may have been stepped since the broker started. Only for what is older it must do.
static bool
is_young(service_t *self, const header_t *header)
{
    if (header->seq <= self->live_after) {
        return header->at + SERVICE_YOUNG_US > clock_wall_us();
    }
    int64_t ahead_us = (int64_t) header->at - (int64_t) clock_boot_us();
    if (!self->knows_ahead || ahead_us > self->ahead_us) {
        self->knows_ahead = true;
        self->ahead_us = ahead_us;
    }
    return self->ahead_us - ahead_us < SERVICE_YOUNG_US;
}

bus_err_t
service_apply_record(service_t *self, store_txn_t *txn, const client_heard_t *record)
{
    bool is_config = service_config_is(self, record->topic);
    const service_apply_row_t *row = find_row(self, record->topic);
    bus_err_t err = is_config ? take_config(self, txn, record) : BUS_OK;
    if (err != BUS_OK || row == NULL) {
        return err;
    }
    self->hand = (service_hand_t){
        .record = record,
        .row = row,
        .is_young = !self->options->rebuild && is_young(self, &record->header),
    };
    if (!is_kept(&self->hand)) {
        return take(self, txn, BUS_OK);
    }
    uint64_t original;
    err = service_store_find_id(self, txn, &record->header, &original);
    if (err == BUS_OK) {
        return answer_again(self, txn, original);
    }
    if (err != BUS_NOT_FOUND) {
        return err;
    }
    if (is_config && !service_config_is_own(self, record)) {
        return take(self, txn, BUS_UNAUTHORIZED_ACCESS);
    }
    err = service_store_find_idem(self, txn, record, &original);
    if (err == BUS_OK) {
        return repeat_idem(self, txn, original);
    }
    if (err == BUS_IDEMPOTENCY_KEY_REUSED) {
        return take(self, txn, err);
    }
    return err == BUS_NOT_FOUND ? take(self, txn, BUS_OK) : err;
}
