// grace.c - the endpoints of HTM and the kernels that are more than a row. docs/contract.md section
// 8. Nothing is kept here: what HTM was told is in the journal, who is there the broker knows.
#include "grace.h"
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "proto/walk.h"
#include "shapes.h"

// --- Commands to HTM ----------------------------------------------------------------------------

static void
command(bridge_request_t *self, bus_view_t body)
{
    bridge_ask(
        self,
        &(bridge_ask_t){
            .kind = BRIDGE_ASK_COMMAND, .topic = self->route->topic, .body = body, .idem = true});
}

void
bridge_grace_command(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (bridge_params_read(self, body, NULL)) {
        command(self, pack_view(body));
    }
}

void
bridge_grace_cancel(bridge_request_t *self)
{
    schema_htm_task_query_t path;
    bridge_shape_task_reason_t asked;
    BUS_AUTO(pack_destroy) pack_t *params = pack_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (!bridge_params_read(self, params, &path) ||
        !bridge_params_decode(self, &BRIDGE_SHAPE_task_reason, self->body, &asked)) {
        return;
    }
    const schema_task_cancel_t cancel = {.task_id = path.task_id, .reason = asked.reason};
    schema_encode(&SCHEMA_task_cancel, &cancel, body);
    command(self, pack_view(body));
}

// --- GET /grace/kernels -------------------------------------------------------------------------

#define KERNEL(name, meaning) {#name, "kernel-" #name, meaning},
const bridge_grace_row_t bridge_grace_rows[BRIDGE_GRACE_KERNELS] = {
#include "proto/kernel.def"
};
#undef KERNEL

bool
bridge_grace_find(bus_view_t peers, const char *service, bus_view_t *ret_peer)
{
    walk_items_t items = walk_items_at(peers, "peers");
    bus_view_t peer;
    while (walk_items_next(&items, &peer)) {
        if (view_is(walk_text_at(peer, "service"), service)) {
            if (ret_peer != NULL) {
                *ret_peer = peer;
            }
            return true;
        }
    }
    return false;
}

bridge_grace_t
bridge_grace_look(bus_view_t peers)
{
    bridge_grace_t self = {.has_brain = bridge_grace_find(peers, "brain", NULL)};
    for (size_t i = 0; i < BRIDGE_GRACE_KERNELS; i++) {
        self.kernels += bridge_grace_find(peers, bridge_grace_rows[i].service, NULL) ? 1 : 0;
    }
    return self;
}

static bool
is_whole(const bridge_grace_t *self)
{
    return self->has_htm && self->has_brain && self->kernels == BRIDGE_GRACE_KERNELS;
}

bool
bridge_grace_is_there(const bridge_grace_t *self)
{
    return self->has_htm || self->has_brain || self->kernels > 0;
}

bool
bridge_grace_is_well(const bridge_grace_t *self)
{
    return is_whole(self) && self->is_htm_well;
}

void
bridge_grace_pack(const bridge_grace_t *self, pack_t *out)
{
    bool some = bridge_grace_is_there(self);
    bool is_well = bridge_grace_is_well(self);
    pack_map(out, 6);
    pack_pair_text(out, "status", is_well ? "healthy" : some ? "degraded" : "unhealthy");
    pack_pair_text(out, "state", is_whole(self) ? "up" : some ? "partial" : "absent");
    if (self->has_lag) {
        pack_pair_uint(out, "lag", self->lag);
    } else {
        pack_pair_nil(out, "lag");
    }
    pack_pair_text(out, "htm", self->has_htm ? "up" : "absent");
    pack_pair_text(out, "brain", self->has_brain ? "up" : "absent");
    pack_pair_uint(out, "kernels_up", self->kernels);
}

static void
pack_said(bus_view_t peer, const char *key, pack_t *out)
{
    bus_view_t value;
    if (peer.data != NULL && walk_find(peer, key, &value) == BUS_OK) {
        pack_pair_raw(out, key, value);
    } else {
        pack_pair_nil(out, key);
    }
}

static void
pack_since(bus_view_t peer, pack_t *out)
{
    bus_view_t value;
    uint64_t since_us = 0;
    if (peer.data != NULL && walk_find(peer, "since", &value) == BUS_OK &&
        walk_as_uint(value, &since_us) == BUS_OK) {
        pack_pair_rfc3339(out, "since", since_us);
    } else {
        pack_pair_nil(out, "since");
    }
}

static void
pack_kernel(const bridge_grace_row_t *kernel, bus_view_t peers, pack_t *out)
{
    bus_view_t peer = VIEW_NONE;
    bool is_up = bridge_grace_find(peers, kernel->service, &peer);
    pack_map(out, 6);
    pack_pair_text(out, "name", kernel->name);
    pack_pair_text(out, "state", is_up ? "up" : "down");
    pack_said(peer, "boot_ms", out);
    pack_since(peer, out);
    pack_said(peer, "version", out);
    pack_pair_text(out, "does", kernel->meaning);
}

static void
on_peers(bridge_request_t *self, const client_answer_t *answer)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 3);
    pack_pair_uint(body, "up", bridge_grace_look(answer->body).kernels);
    pack_pair_uint(body, "count", BRIDGE_GRACE_KERNELS);
    pack_text(body, "kernels");
    pack_array(body, BRIDGE_GRACE_KERNELS);
    for (size_t i = 0; i < BRIDGE_GRACE_KERNELS; i++) {
        pack_kernel(&bridge_grace_rows[i], answer->body, body);
    }
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

void
bridge_grace_kernels(bridge_request_t *self)
{
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                               .topic = self->route->topic,
                               .body = PACK_EMPTY_MAP,
                               .then = on_peers});
}
