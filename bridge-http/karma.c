// karma.c - Karma's endpoints that are more than a row: its one door for events, and test helpers.
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

// --- POST /v1/event -----------------------------------------------------------------------------

// The kinds that this version does not offer answer 503 and publish nothing.
typedef struct {
    const char *type;
    bool offered;
} event_kind_t;

static const event_kind_t kinds[] = {
    {"life_event", true},
    {"atonement", false},
    {"appeal", false},
    {"death_event", false},
    {"stats_request", false},
};

// False: it answered.
static bool
kind_is_offered(bridge_request_t *self, bus_view_t type)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!view_is(type, kinds[i].type)) {
            continue;
        }
        if (!kinds[i].offered) {
            bridge_answer_refuse(self, BUS_SERVICE_UNAVAILABLE, "not offered by this version");
        }
        return kinds[i].offered;
    }
    char message[200];
    int size = snprintf(message,
                        sizeof(message),
                        "Invalid event type: %.*s. Valid types: life_event, atonement, appeal, "
                        "death_event, stats_request",
                        (int) type.size,
                        type.data);
    assert(size > 0 && size < (int) sizeof(message)); // the type has at most 64 bytes
    bridge_answer_error(self,
                        &(bridge_error_t){.err = BUS_INVALID_REQUEST,
                                          .message = view_from(message, (size_t) size)});
    return false;
}

static bool
has(bus_view_t map, const char *key)
{
    bus_view_t value;
    return walk_find(map, key, &value) == BUS_OK;
}

// {…data, timestamp?, source?}: what stands outside of `data` wins.
static void
pack_life_event(const bridge_shape_karma_event_t *asked, pack_t *out)
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

static void
on_life_event(bridge_request_t *self, const client_answer_t *answer)
{
    bus_view_t value, text;
    uint64_t time_us = clock_wall_us();
    if (walk_find(self->body, "timestamp", &value) == BUS_OK &&
        walk_as_str(value, &text) == BUS_OK) {
        bus_err_t err = rfc3339_parse(text, &time_us); // checked before it was asked
        assert(err == BUS_OK);
    }
    char time[RFC3339_SIZE];
    rfc3339_format(time_us, time);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 6);
    pack_pair_text(body, "status", "success");
    pack_pair_text(body, "event_type", "life_event");
    pack_pair_text(body, "message", "Life event logged successfully");
    pack_pair_raw(body, "data", answer->body);
    pack_pair_text(body, "timestamp", time);
    pack_text(body, "routing_info");
    pack_map(body, 2);
    pack_pair_text(body, "internal_endpoint", "/v1/karma/log-action");
    pack_pair_text(body, "mapped_from", "life_event");
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

void
bridge_karma_event(bridge_request_t *self)
{
    bridge_shape_karma_event_t asked;
    if (!bridge_params_decode(self, &BRIDGE_SHAPE_karma_event, self->body, &asked) ||
        !kind_is_offered(self, asked.type)) {
        return;
    }
    if (!has(asked.data, "user_id") || !has(asked.data, "action") || !has(asked.data, "role")) {
        bridge_answer_refuse(
            self, BUS_INVALID_REQUEST, "life_event requires user_id, action, and role in data");
        return;
    }
    uint64_t time_us;
    if (asked.timestamp.data != NULL && rfc3339_parse(asked.timestamp, &time_us) != BUS_OK) {
        bridge_answer_invalid(self, "timestamp", "is no RFC 3339 time");
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_life_event(&asked, body);
    if (!bridge_params_decode(self, &SCHEMA_life_event, pack_view(body), NULL) ||
        !bridge_params_may_say(self, view_from_text(self->route->topic), pack_view(body))) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .idem = true,
                               .then = on_life_event});
}

// --- Test helpers -------------------------------------------------------------------------------

// A reply's pair, or what stands in for it.
static void
pack_pair_from(pack_t *out, const char *key, bus_view_t reply, bus_view_t instead)
{
    bus_view_t value;
    pack_pair_raw(out, key, walk_find(reply, key, &value) == BUS_OK ? value : instead);
}

static uint64_t
count_at(bus_view_t reply, const char *key)
{
    bus_view_t value;
    uint64_t count = 0;
    if (walk_find(reply, key, &value) == BUS_OK && walk_as_uint(value, &count) != BUS_OK) {
        count = 0;
    }
    return count;
}

static void
on_user_made(bridge_request_t *self, const client_answer_t *answer)
{
    bus_view_t user_id = VIEW_LITERAL("\xc0");
    bus_view_t role = VIEW_LITERAL("\xa7learner");
    bus_view_t value;
    if (walk_find(self->body, "user_id", &value) == BUS_OK) {
        user_id = value;
    }
    if (walk_find(self->body, "role", &value) == BUS_OK) {
        role = value;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 4);
    pack_pair_bool(body, "success", true);
    pack_pair_from(body, "user_id", answer->body, user_id);
    pack_pair_from(body, "role", answer->body, role);
    pack_pair_text(body, "message", "Test user created successfully");
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

void
bridge_karma_create_user(bridge_request_t *self)
{
    if (!bridge_params_decode(self, self->route->body, self->body, NULL)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = self->body,
                               .idem = true,
                               .then = on_user_made});
}

static void
on_user_deleted(bridge_request_t *self, const client_answer_t *answer)
{
    uint64_t count = count_at(answer->body, "deleted_count");
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_bool(body, "success", count > 0);
    pack_pair_uint(body, "deleted_count", count);
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

void
bridge_karma_delete_user(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (!bridge_params_read(self, body, NULL)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .then = on_user_deleted});
}

static void
on_timestamps_fixed(bridge_request_t *self, const client_answer_t *answer)
{
    uint64_t count = count_at(answer->body, "fixed_count");
    char message[48];
    (void) snprintf(message, sizeof(message), "Fixed %llu users", (unsigned long long) count);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 3);
    pack_pair_bool(body, "success", true);
    pack_pair_uint(body, "fixed_count", count);
    pack_pair_text(body, "message", message);
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

void
bridge_karma_fix_timestamps(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .idem = true,
                               .then = on_timestamps_fixed});
}
