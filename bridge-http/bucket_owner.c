// bucket_owner.c - the owner's commands: the bridge has seen the owner's token, and signs for it.
//
// The token stays here; on the bus goes what was signed with it (runtime/owner.h), so that Bucket
// need not take the bridge's word. A signature must be near the journal's time and younger than the
// last one, so this bridge's are numbered by the journal's clock, and never twice the same.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "proto/channel.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/owner.h"
#include <sodium.h>

bool
bridge_bucket_owner_sign(bridge_request_t *self, bus_view_t topic, bus_view_t body, pack_t *out)
{
    char token[OWNER_TOKEN_SIZE_MAX + 1];
    bus_err_t err = owner_read_token(self->bridge->options->dir, token);
    if (err != BUS_OK) {
        log_warning("owner_token_unreadable", "error=%s", error_text(err));
        bridge_answer_refuse(self, BUS_INTERNAL, "owner.token cannot be read");
        return false;
    }
    bridge_t *bridge = self->bridge;
    uint64_t now_us =
        bridge->knows_ahead ? clock_boot_us() + (uint64_t) bridge->ahead_us : clock_wall_us();
    // One that is out of the window was not taken, and need not be passed.
    bool is_later =
        now_us > bridge->owner_signed_us || bridge->owner_signed_us - now_us > OWNER_WINDOW_US;
    bridge->owner_signed_us = is_later ? now_us : bridge->owner_signed_us + 1;
    owner_sign(view_from_text(token), topic, bridge->owner_signed_us, body, out);
    sodium_memzero(token, sizeof(token));
    return true;
}

// Whether the product that it names, if it names one, is one. False: it answered.
static bool
has_good_product(bridge_request_t *self)
{
    bus_view_t value, name;
    if (walk_find(self->body, "product", &value) == BUS_OK && walk_as_str(value, &name) == BUS_OK &&
        channel_product(name) == CHANNEL_PRODUCT_COUNT) {
        bridge_answer_invalid(
            self, "product", "must be one of ai_assistant, ai_avatar, gurukul, enforcement");
        return false;
    }
    return true;
}

void
bridge_bucket_owner_command(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    bus_view_t topic = view_from_text(self->route->topic);
    if (!bridge_bucket_channel_allows(self) ||
        !bridge_params_decode(self, self->route->body, self->body, NULL) ||
        !has_good_product(self) || !bridge_bucket_owner_sign(self, topic, self->body, body)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .idem = true});
}
