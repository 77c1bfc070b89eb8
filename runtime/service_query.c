// service_query.c - questions: the service's table, and the three that every service answers.
#include "clock.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "service_self.h"
#include <assert.h>

static bus_err_t
query_health(service_query_t *query, const void *message BUS_UNUSED)
{
    service_t *self = query->service;
    store_info_t info;
    store_info(self->store, &info);
    uint64_t head = client_head(self->client);
    uint64_t cursor = self->committed.cursor - 1;
    bool is_degraded =
        self->is_failing || self->outbox.is_stuck || !client_is_connected(self->client);
    pack_t *out = query->answer;
    size_t place = pack_map_begin(out);
    uint32_t pairs = 16;
    pack_pair_text(out, "status", is_degraded ? "degraded" : "healthy");
    pack_pair_text(out, "service", self->definition->name);
    pack_pair_text(out, "version", BHIV_VERSION);
    pack_pair_text(out, "build", self->identity.build);
    pack_pair_uint(out, "protocol", IDENTITY_PROTOCOL);
    pack_pair_text(out, "schemas", self->identity.schemas);
    pack_pair_uint(out, "uptime_seconds", (clock_boot_ms() - self->start_ms) / 1000);
    pack_pair_uint(out, "cursor", cursor);
    pack_pair_uint(out, "head", head);
    pack_pair_uint(out, "lag", head > cursor ? head - cursor : 0);
    pack_pair_uint(out, "applied", self->committed.applied);
    pack_pair_uint(out, "refused", self->committed.refused);
    pack_pair_uint(out, "duplicates", self->committed.duplicates);
    pack_pair_uint(
        out,
        "outbox",
        self->committed.pseq > self->outbox.acked ? self->committed.pseq - self->outbox.acked : 0);
    pack_pair_uint(out, "rules_version", self->definition->rules_version);
    pack_text(out, "storage");
    pack_map(out, 2);
    pack_pair_uint(out, "bytes", info.used_bytes);
    pack_pair_uint(out, "quota", info.map_bytes);
    if (self->definition->health != NULL) {
        pairs += self->definition->health(query->state, query->txn, out);
    }
    pack_count(out, place, pairs);
    return BUS_OK;
}

static bus_err_t
query_state_hash(service_query_t *query, const void *message BUS_UNUSED)
{
    char hash[STORE_HASH_SIZE];
    bus_err_t err = store_state_hash(query->txn, hash);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(query->answer, 3);
    pack_pair_text(query->answer, "state_hash", hash);
    pack_pair_uint(query->answer, "cursor", query->service->committed.cursor - 1);
    pack_pair_uint(query->answer, "rules_version", query->service->definition->rules_version);
    return BUS_OK;
}

static bus_err_t
query_queue(service_query_t *query, const void *message BUS_UNUSED)
{
    service_t *self = query->service;
    bus_view_t value;
    uint64_t seq = 0;
    if (walk_find(query->body, "seq", &value) != BUS_OK || walk_as_uint(value, &seq) != BUS_OK ||
        seq == 0) {
        return service_query_refuse(
            query, BUS_VALIDATION_FAILED, "seq must be an integer from 1", VIEW_NONE);
    }
    service_answer_t answer = {.err = BUS_OK};
    bus_err_t err = BUS_NOT_FOUND;
    const char *state = "queued";
    if (seq < self->committed.cursor) {
        bus_view_t waiting;
        err = service_store_find_answer(self, query->txn, seq, &answer);
        bool is_deferred = err == BUS_NOT_FOUND &&
                           service_store_find_waiting(self, query->txn, seq, &waiting) == BUS_OK;
        state = is_deferred ? "queued" : answer.err == BUS_OK ? "applied" : "refused";
    }
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    pack_map(query->answer, err == BUS_OK ? 3 : 2);
    pack_pair_uint(query->answer, "seq", seq);
    pack_pair_text(query->answer, "state", state);
    if (err == BUS_OK) {
        pack_pair_raw(query->answer, "result", answer.body);
    }
    return BUS_OK;
}

static const service_query_row_t own_rows[] = {
    {"health", NULL, query_health, "how the service is"},
    {"state_hash", NULL, query_state_hash, "a hash over its state"},
    {"queue", NULL, query_queue, "what became of a journaled command"},
};

static const service_query_row_t *
find_in(const service_query_row_t *rows, size_t count, bus_view_t operation)
{
    for (size_t i = 0; i < count; i++) {
        if (view_is(operation, rows[i].operation)) {
            return &rows[i];
        }
    }
    return NULL;
}

// The row for req.<name>.<operation>; the service's own come before the harness's.
static const service_query_row_t *
find_row(const service_ear_t *ear, bus_view_t topic)
{
    bus_view_t parts[] = {VIEW_LITERAL("req."), view_from_text(ear->name), VIEW_LITERAL(".")};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!view_starts(topic, parts[i])) {
            return NULL;
        }
        topic = view_from(topic.data + parts[i].size, topic.size - parts[i].size);
    }
    const service_query_row_t *row = find_in(ear->rows, ear->row_count, topic);
    if (row != NULL || ear != &ear->service->ear) {
        return row;
    }
    return find_in(own_rows, sizeof(own_rows) / sizeof(own_rows[0]), topic);
}

// Runs the query in its transaction; what it wrote, or refused with, is in `answer` and the hand.
static bus_err_t
run(service_t *self, const service_query_row_t *row, const client_heard_t *heard)
{
    schema_problems_t problems = {.count = 0};
    if (row->schema != NULL) {
        bus_err_t err = schema_decode(row->schema, heard->body, self->message, &problems);
        if (err != BUS_OK) {
            pack_clear(self->details);
            schema_pack_problems(&problems, self->details);
            self->hand.has_details = true;
            return err;
        }
    }
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_begin(self->store, STORE_READ, &txn);
    if (err != BUS_OK) {
        return err;
    }
    service_query_t query = {
        .service = self,
        .state = self->state,
        .txn = txn,
        .header = &heard->header,
        .topic = heard->topic,
        .body = heard->body,
        .answer = self->answer,
    };
    return row->query(&query, row->schema == NULL ? NULL : self->message);
}

void
service_query_on_request(void *arg, const client_heard_t *heard)
{
    service_ear_t *ear = arg;
    service_t *self = ear->service;
    if (heard->header.reply_to.data == NULL) {
        return;
    }
    pack_clear(self->answer);
    self->hand = (service_hand_t){.record = heard};
    self->hearing = ear;
    const service_query_row_t *row = find_row(ear, heard->topic);
    bus_err_t err = row == NULL ? BUS_NOT_FOUND : run(self, row, heard);
    if (row == NULL) {
        self->hand.message = "no such operation";
    }
    if (self->hand.is_deferred) {
        assert(err == BUS_OK); // or it would be answered twice
        return;
    }
    if (err == BUS_OK && pack_view(self->answer).size == 0) {
        pack_map(self->answer, 0);
    }
    if (pack_view(self->answer).size > INBOX_BODY_SIZE_MAX) {
        err = BUS_PAYLOAD_TOO_LARGE;
        pack_clear(self->answer);
    }
    bus_view_t body = pack_view(self->answer);
    if (err != BUS_OK) {
        bus_view_t details = self->hand.has_details ? pack_view(self->details) : VIEW_NONE;
        pack_clear(self->body);
        schema_pack_error(self->body, err, self->hand.message, details, 0);
        body = pack_view(self->body);
    }
    service_held_reply(ear, &heard->header, err, body);
}

bus_err_t
service_query_say(service_query_t *query, const char *topic, bus_view_t body)
{
    bus_view_t view = view_from_text(topic);
    assert(topic_is_legal(view, NULL) && topic_class(view) == TOPIC_JOURNALED);
    bool is_asked = query->header->reply_to.data != NULL;
    return is_asked ? service_held_say(query->service, query->header, topic, body)
                    : service_tick_say(query->service, topic, body);
}

bus_err_t
service_query_refuse(service_query_t *query, bus_err_t err, const char *message, bus_view_t details)
{
    service_refuse_with(query->service, message, details);
    return err;
}
