// common.c - handlers that only need their row: a question, a command, and what every port has.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "health.h"
#include "metrics.h"
#include "params.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "scope.h"
#include "shapes.h"

void
bridge_common_question(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (self->route->query == NULL) {
        pack_map(body, 0);
    } else if (!bridge_params_read(self, body, NULL)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .then = bridge_scope_filter(self)});
}

// A service has no clock of its own: who asks it says when now is.
void
bridge_common_window(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *asked = pack_new();
    bus_view_t key, value;
    if (!bridge_params_read(self, asked, NULL)) {
        return;
    }
    bool has_now = walk_find(pack_view(asked), "now", &value) == BUS_OK;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    size_t place = pack_map_begin(body);
    walk_pairs_t pairs = walk_pairs(pack_view(asked));
    uint32_t count = pairs.left;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        pack_str(body, key);
        pack_raw(body, value);
    }
    if (!has_now) {
        char time[RFC3339_SIZE];
        rfc3339_format(clock_wall_us(), time);
        pack_pair_text(body, "now", time);
        count++;
    }
    pack_count(body, place, count);
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .then = bridge_scope_filter(self)});
}

// Nothing was ever answered 202 with a seq above the journal's head.
static void
on_head_known(bridge_request_t *self, const client_answer_t *answer)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    bridge_shape_queue_query_t asked;
    bus_view_t value;
    uint64_t head = UINT64_MAX;
    if (!bridge_params_read(self, body, &asked)) {
        return;
    }
    if (walk_find(answer->body, "head", &value) == BUS_OK && walk_as_uint(value, &head) == BUS_OK &&
        (uint64_t) asked.seq.value > head) {
        bridge_answer_refuse(self, BUS_NOT_FOUND, "the journal has no such seq yet");
        return;
    }
    bridge_common_question(self);
}

// The broker itself is asked where what this bridge has heard does not reach so far: another bridge
// may have answered that 202.
void
bridge_common_queue(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    bridge_shape_queue_query_t asked;
    if (!bridge_params_read(self, body, &asked)) {
        return;
    }
    if ((uint64_t) asked.seq.value <= client_head(self->bridge->client)) {
        bridge_common_question(self);
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                               .topic = "$bus.stats",
                               .body = PACK_EMPTY_MAP,
                               .then = on_head_known});
}

void
bridge_common_command(bridge_request_t *self)
{
    if (!bridge_params_decode(self, self->route->body, self->body, NULL)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = self->body,
                               .idem = true});
}

void
bridge_common_index(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 4);
    pack_pair_text(body, "service", bridge_server_port_name(self->port->id));
    pack_pair_text(body, "version", BHIV_VERSION);
    pack_pair_text(body, "health", "/health");
    pack_pair_text(body, "openapi", "/openapi.json");
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

void
bridge_common_openapi(bridge_request_t *self)
{
    bridge_answer_static(self, "application/json", view_from_text(self->port->openapi));
}

void
bridge_common_metrics(bridge_request_t *self)
{
    text_t *text = text_new();
    bridge_metrics_write(self->bridge->metrics, text);
    bridge_health_write_metrics(self->bridge->health, text);
    bridge_bucket_sla_write_metrics(self->bridge, text);
    bridge_workflow_write_metrics(self->bridge, text);
    bridge_grace_write_metrics(self->bridge, text);
    bridge_answer_text(self, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &text);
}
