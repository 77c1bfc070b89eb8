// karma_event.c - Karma's one door for every kind of event: POST /v1/event.
//
// A kind is a row: what its data needs, where it goes on the bus, and what is said of it. Sources:
// docs/contract.md section 5, docs/originals.md 1.5.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "shapes.h"
#include <assert.h>
#include <stdio.h>

enum { NEEDS_MAX = 4, MESSAGE_SIZE = 200 };

typedef struct {
    const char *type;
    const char *needs[NEEDS_MAX + 1]; // keys of `data`, ended by NULL
    const char *wanted;               // what is said where one is missing; NULL: names that key
    bridge_ask_kind_t ask;
    const char *topic;
    const schema_t *schema;
    const char *message;  // of success
    const char *endpoint; // the original's name of where it goes
} event_kind_t;

// clang-format off
static const event_kind_t kinds[] = {
    {"life_event", {"user_id", "action", "role"}, "user_id, action, and role",
     BRIDGE_ASK_COMMAND, "karma.life_event", &SCHEMA_life_event,
     "Life event logged successfully", "/v1/karma/log-action"},
    {"atonement", {"user_id", "plan_id", "atonement_type", "amount"}, NULL,
     BRIDGE_ASK_COMMAND, "karma.atonement", &SCHEMA_karma_atonement,
     "Atonement submitted successfully", "/v1/karma/atonement/submit"},
    {"appeal", {"user_id", "action"}, "user_id and action",
     BRIDGE_ASK_COMMAND, "karma.appeal", &SCHEMA_karma_appeal,
     "Appeal submitted successfully", "/v1/karma/appeal"},
    {"death_event", {"user_id"}, "user_id",
     BRIDGE_ASK_COMMAND, "karma.death_event", &SCHEMA_karma_death_event,
     "Death event processed successfully", "/v1/karma/death/event"},
    {"stats_request", {"user_id"}, "user_id",
     BRIDGE_ASK_QUESTION, "req.karma.stats_user", &SCHEMA_karma_user,
     "User statistics retrieved successfully", "/v1/karma/stats/{user_id}"},
};
// clang-format on

static const event_kind_t *
find_kind(bus_view_t type)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (view_is(type, kinds[i].type)) {
            return &kinds[i];
        }
    }
    return NULL;
}

static void
refuse(bridge_request_t *self, const char *message)
{
    bridge_answer_refuse(self, BUS_INVALID_REQUEST, message);
}

static void
refuse_type(bridge_request_t *self, bus_view_t type)
{
    char message[MESSAGE_SIZE];
    int size = snprintf(message,
                        sizeof(message),
                        "Invalid event type: %.*s. Valid types: life_event, atonement, appeal, "
                        "death_event, stats_request",
                        (int) type.size,
                        type.data);
    assert(size > 0 && size < (int) sizeof(message)); // the type has at most 64 bytes
    refuse(self, message);
}

static bool
has(bus_view_t map, const char *key)
{
    bus_view_t value;
    return walk_find(map, key, &value) == BUS_OK;
}

// Whether `data` has what its kind needs. False: it answered.
static bool
has_needs(bridge_request_t *self, const event_kind_t *kind, bus_view_t data)
{
    for (size_t i = 0; kind->needs[i] != NULL; i++) {
        if (!has(data, kind->needs[i])) {
            char message[MESSAGE_SIZE];
            const char *wanted = kind->wanted != NULL ? kind->wanted : kind->needs[i];
            (void) snprintf(message, sizeof(message), "%s requires %s in data", kind->type, wanted);
            refuse(self, message);
            return false;
        }
    }
    return true;
}

// {…data, timestamp?, source?}: what stands outside of `data` wins.
static void
pack_said(const bridge_shape_karma_event_t *asked, pack_t *out)
{
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    walk_pairs_t pairs = walk_pairs(asked->data);
    bus_view_t key;
    bus_view_t value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if ((asked->timestamp.data != NULL && view_is(key, "timestamp")) ||
            (asked->source.data != NULL && view_is(key, "source"))) {
            continue;
        }
        pack_str(out, key);
        pack_raw(out, value);
        count++;
    }
    if (asked->timestamp.data != NULL) {
        pack_pair_str(out, "timestamp", asked->timestamp);
        count++;
    }
    if (asked->source.data != NULL) {
        pack_pair_str(out, "source", asked->source);
        count++;
    }
    pack_count(out, place, count);
}

// --- What is answered ---------------------------------------------------------------------------

// The event's own time, else now.
static void
pack_time(bus_view_t timestamp, pack_t *out)
{
    uint64_t time_us = clock_wall_us();
    if (timestamp.data != NULL) {
        bus_err_t err = rfc3339_parse(timestamp, &time_us); // checked before it was asked
        assert(err == BUS_OK);
    }
    char time[RFC3339_SIZE];
    rfc3339_format(time_us, time);
    pack_pair_text(out, "timestamp", time);
}

static void
on_done(bridge_request_t *self, const client_answer_t *answer)
{
    const event_kind_t *kind = find_kind(walk_text_at(self->body, "type"));
    assert(kind != NULL);
    bool is_death = strcmp(kind->type, "death_event") == 0;
    bool reached = false;
    bus_view_t value;
    if (is_death && walk_find(answer->body, "threshold_reached", &value) == BUS_OK &&
        walk_as_bool(value, &reached) != BUS_OK) {
        reached = false;
    }
    char message[MESSAGE_SIZE];
    const char *more = reached ? " (threshold reached)" : " (threshold not reached)";
    (void) snprintf(message, sizeof(message), "%s%s", kind->message, is_death ? more : "");

    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 6);
    pack_pair_text(body, "status", "success");
    pack_pair_text(body, "event_type", kind->type);
    pack_pair_text(body, "message", message);
    pack_pair_raw(body, "data", answer->body);
    pack_time(walk_text_at(self->body, "timestamp"), body);
    pack_text(body, "routing_info");
    pack_map(body, is_death ? 3 : 2);
    pack_pair_text(body, "internal_endpoint", kind->endpoint);
    pack_pair_text(body, "mapped_from", kind->type);
    if (is_death) {
        pack_pair_bool(body, "threshold_reached", reached);
    }
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

// --- The handler --------------------------------------------------------------------------------

void
bridge_karma_event(bridge_request_t *self)
{
    bridge_shape_karma_event_t asked;
    if (!bridge_params_decode(self, &BRIDGE_SHAPE_karma_event, self->body, &asked)) {
        return;
    }
    const event_kind_t *kind = find_kind(asked.type);
    if (kind == NULL) {
        refuse_type(self, asked.type);
        return;
    }
    uint64_t time_us;
    if (!has_needs(self, kind, asked.data)) {
        return;
    }
    if (asked.timestamp.data != NULL && rfc3339_parse(asked.timestamp, &time_us) != BUS_OK) {
        bridge_answer_invalid(self, "timestamp", "is no RFC 3339 time");
        return;
    }
    if (kind->ask == BRIDGE_ASK_QUESTION && !bridge_params_may_ask(self)) {
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_said(&asked, body);
    if (!bridge_params_decode(self, kind->schema, pack_view(body), NULL) ||
        !bridge_params_may_say(self, view_from_text(kind->topic), pack_view(body))) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = kind->ask,
                               .topic = kind->topic,
                               .body = pack_view(body),
                               .idem = kind->ask == BRIDGE_ASK_COMMAND,
                               .then = on_done});
}
