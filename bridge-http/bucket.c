// bucket.c - Bucket's endpoints that are more than a row: events and contexts, with the requester
// looked at first, and which contract is kept.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "probe.h"
#include "proto/limits.h"
#include "proto/refusal.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "shapes.h"
#include <assert.h>
#include <stdio.h>

// --- POST /core/write-event and /workflow/write-event -------------------------------------------

static bool
may_write(const bridge_request_t *self, bus_view_t requester)
{
    if (strcmp(self->route->operation, "workflow_write_event") == 0) {
        return view_is(requester, "workflow_executor");
    }
    return view_is(requester, "bhiv_core") || view_is(requester, "workflow_executor") ||
           view_is(requester, "unified_action_orchestrator");
}

// core.event.<type> where that is one legal token, else core.event.other.
static void
event_topic(bus_view_t type, char ret_topic[TOPIC_SIZE_MAX + 1])
{
    size_t size = (size_t) snprintf(
        ret_topic, TOPIC_SIZE_MAX + 1, "core.event.%.*s", (int) type.size, type.data);
    bool fits = size <= TOPIC_SIZE_MAX && memchr(type.data, '.', type.size) == NULL &&
                topic_is_legal(view_from(ret_topic, size), NULL);
    if (!fits) {
        (void) snprintf(ret_topic, TOPIC_SIZE_MAX + 1, "core.event.other");
    }
}

// {requester_id, …event_data}: who tells it is what the envelope says, never what is inside.
static void
pack_event(bus_view_t requester, bus_view_t event_data, pack_t *out)
{
    size_t place = pack_map_begin(out);
    pack_pair_str(out, "requester_id", requester);
    uint32_t count = 1;
    walk_pairs_t pairs = walk_pairs(event_data);
    bus_view_t key;
    bus_view_t value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (view_is(key, "requester_id")) {
            continue;
        }
        pack_str(out, key);
        pack_raw(out, value);
        count++;
    }
    pack_count(out, place, count);
}

// The seq and id of the event, from Bucket's reply where it gave one (a retry gets those of the
// first), else our own.
static void
on_event_kept(bridge_request_t *self, const client_answer_t *answer)
{
    bus_view_t id = walk_text_at(answer->body, "event_id");
    bus_view_t value;
    uint64_t seq = self->seq;
    if (answer->event == CLIENT_REPLIED && walk_find(answer->body, "seq", &value) == BUS_OK) {
        bus_err_t err = walk_as_uint(value, &seq);
        seq = err == BUS_OK ? seq : self->seq;
    }
    if (answer->event == CLIENT_ACKED && !answer->duplicate) {
        bridge_probe_follow(self->bridge->probe, seq, self->started_us);
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 4);
    pack_pair_bool(body, "success", true);
    pack_pair_text(body, "message", "Event received");
    pack_pair_str(body, "event_id", id.data != NULL ? id : view_from_text(self->message_id));
    pack_pair_uint(body, "seq", seq);
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

// False: it answered, and named the field as it stands in the body.
static bool
decode_data(bridge_request_t *self, bus_view_t event_data, bridge_shape_event_data_t *ret_event)
{
    schema_problems_t problems = {.count = 0};
    if (schema_decode(&BRIDGE_SHAPE_event_data, event_data, ret_event, &problems) == BUS_OK) {
        return true;
    }
    assert(problems.count == 1); // it has one field
    problems.at[0].field = "event_data.event_type";
    bridge_answer_problems(self, &BRIDGE_SHAPE_event_data, &problems);
    return false;
}

void
bridge_bucket_write_event(bridge_request_t *self)
{
    bus_view_t requester = walk_text_at(self->body, "requester_id");
    if (requester.data != NULL && !may_write(self, requester)) {
        bridge_ask_refuse(self,
                          &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                                  .message = "Unauthorized requester",
                                                  .violation = refusal_not_yours.violation,
                                                  .operation = self->route->operation,
                                                  .requester = requester,
                                                  .says_success = true});
        return;
    }
    bridge_shape_write_event_t asked;
    bridge_shape_event_data_t event;
    if (!bridge_params_decode(self, &BRIDGE_SHAPE_write_event, self->body, &asked) ||
        !decode_data(self, asked.event_data, &event)) {
        return;
    }
    char topic[TOPIC_SIZE_MAX + 1];
    event_topic(event.event_type, topic);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_event(asked.requester_id, asked.event_data, body);
    // What Bucket would refuse is refused now: an ack alone must mean that it will be kept.
    if (!bridge_params_decode(self, &SCHEMA_core_event, pack_view(body), NULL)) {
        return;
    }
    bool keyed = bridge_request_header(self, "Idempotency-Key").data != NULL;
    bridge_ask(self,
               &(bridge_ask_t){.kind = keyed ? BRIDGE_ASK_COMMAND : BRIDGE_ASK_RECORD,
                               .topic = topic,
                               .body = pack_view(body),
                               .idem = true,
                               .then = on_event_kept});
}

// --- GET /core/read-context ---------------------------------------------------------------------

void
bridge_bucket_read_context(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    schema_context_read_t asked;
    if (!bridge_params_read(self, body, &asked)) {
        return;
    }
    if (!view_is(asked.requester_id, "bhiv_core")) {
        bridge_ask_refuse(self,
                          &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                                  .message = "Unauthorized requester",
                                                  .violation = refusal_not_yours.violation,
                                                  .operation = self->route->operation,
                                                  .requester = asked.requester_id,
                                                  .says_success = true});
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){
                   .kind = BRIDGE_ASK_READ, .topic = self->route->topic, .body = pack_view(body)});
}

// --- GET /bucket/contract -----------------------------------------------------------------------

void
bridge_bucket_contract(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 6);
    pack_pair_text(body, "contract", "core-bucket");
    pack_pair_text(body, "version", "1.0");
    pack_pair_text(body, "status", "active");
    pack_pair_uint(body, "notice_days", BRIDGE_ROUTE_NOTICE_DAYS);
    pack_pair_text(body, "aliases", "/v1/bucket/");
    pack_pair_text(body, "openapi", "/openapi.json");
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}
