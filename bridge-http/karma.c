// karma.c - Karma's endpoints that are more than a row. Its one door for events is karma_event.c.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "proto/walk.h"
#include <stdio.h>

// --- Commands and questions ---------------------------------------------------------------------

void
bridge_karma_command(bridge_request_t *self)
{
    if (!bridge_params_decode(self, self->route->body, self->body, NULL) ||
        !bridge_params_may_say(self, view_from_text(self->route->topic), self->body)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = self->body,
                               .idem = true});
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
