// event.c - storing one event, with its indexes and its agent's context.
//
// A stored event is flat: the envelope's own fields first, then everything that the teller said, in
// its order. Where the teller uses a name of the envelope (seq, event_id, received_at,
// requester_id) the envelope wins: those answer what the journal knows, not what was claimed.
#include "event.h"

#include "audit.h"
#include "context.h"
#include "forward.h"
#include "governance.h"
#include "index.h"
#include "proto/limits.h"
#include "proto/walk.h"

static const char *const writers[] = {
    "bhiv_core", "workflow_executor", "unified_action_orchestrator"};

static const char *const envelope_keys[] = {
    "seq", "event_id", "timestamp", "received_at", "requester_id", "event_type", "trace_id"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
is_one_of(bus_view_t text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (view_is(text, words[i])) {
            return true;
        }
    }
    return false;
}

bus_view_t
bucket_event_text(bus_view_t value, size_t size_max)
{
    bus_view_t text;
    if (value.data == NULL || walk_as_str(value, &text) != BUS_OK || text.size == 0 ||
        text.size > size_max) {
        return VIEW_NONE;
    }
    return text;
}

static bus_view_t
event_type(const service_apply_t *apply, const schema_core_event_t *event)
{
    if (event->event_type.data != NULL) {
        return event->event_type;
    }
    size_t prefix = sizeof "core.event." - 1;
    return view_from(apply->topic.data + prefix, apply->topic.size - prefix);
}

// The envelope's trace_id, else the teller's.
static bus_view_t
event_trace(const service_apply_t *apply, const schema_core_event_t *event)
{
    if (apply->header->trace_id.data != NULL) {
        return apply->header->trace_id;
    }
    return bucket_event_text(event->trace_id, NAME_SIZE_MAX);
}

// Copies what the teller said beyond the envelope's names. Returns how many pairs.
static uint32_t
pack_rest(bus_view_t body, pack_t *out)
{
    walk_pairs_t pairs = walk_pairs(body);
    uint32_t copied = 0;
    bus_view_t key;
    bus_view_t value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (is_one_of(key, envelope_keys, COUNT(envelope_keys))) {
            continue;
        }
        pack_str(out, key);
        pack_raw(out, value);
        copied++;
    }
    return copied;
}

static void
pack_event(const service_apply_t *apply, const schema_core_event_t *event, pack_t *out)
{
    bus_view_t trace = event_trace(apply, event);
    bool own_time = event->timestamp.data != NULL;

    size_t map = pack_map_begin(out);
    uint32_t count = 5;
    pack_pair_uint(out, "seq", apply->header->seq);
    pack_pair_str(out, "event_id", apply->header->id);
    if (own_time) {
        pack_pair_raw(out, "timestamp", event->timestamp);
        pack_pair_rfc3339(out, "received_at", apply->header->at);
        count++;
    } else {
        pack_pair_rfc3339(out, "timestamp", apply->header->at);
    }
    pack_pair_str(out, "requester_id", event->requester_id);
    pack_pair_str(out, "event_type", event_type(apply, event));
    if (trace.data != NULL) {
        pack_pair_str(out, "trace_id", trace);
        count++;
    }
    count += pack_rest(apply->body, out);
    pack_count(out, map, count);
}

static bus_err_t
add_indexes(service_apply_t *apply, const schema_core_event_t *event, bus_view_t agent_id)
{
    const struct {
        bucket_index_kind_t kind;
        bus_view_t value;
    } rows[] = {
        {BUCKET_INDEX_TYPE, event_type(apply, event)},
        {BUCKET_INDEX_REQUESTER, event->requester_id},
        {BUCKET_INDEX_AGENT, agent_id},
        {BUCKET_INDEX_TRACE, event_trace(apply, event)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].value.size == 0) {
            continue;
        }
        bus_err_t err =
            bucket_index_add(apply->txn, rows[i].kind, rows[i].value, apply->header->seq);
        if (err != BUS_OK) {
            return err;
        }
    }
    return BUS_OK;
}

static bus_err_t
refuse(service_apply_t *apply, const schema_core_event_t *event)
{
    const bucket_refusal_t refusal = {
        .err = refusal_not_yours.err,
        .message = "Unauthorized requester",
        .operation = "write-event",
        .rule = refusal_not_yours.rule,
        .violation = refusal_not_yours.violation,
        .threat = refusal_not_yours.threat,
        .requester_id = event->requester_id,
    };
    return bucket_governance_refuse(apply, &refusal);
}

static bus_err_t
audit(service_apply_t *apply, const schema_core_event_t *event, bus_view_t stored)
{
    merkle_hash_t hash;
    merkle_sha256(stored, &hash);
    const bucket_audit_t entry = {
        .event_type = "write",
        .operation = "write-event",
        .requester_id = event->requester_id,
        .subject = apply->header->id,
        .content_hash = &hash,
    };
    bucket_audit_place_t place;
    bus_err_t err = bucket_audit_add(apply, &entry, &place);
    if (err == BUS_OK && apply->header->idem.data != NULL) { // nobody else is answered
        pack_map(apply->answer, 7);
        pack_pair_bool(apply->answer, "success", true);
        pack_pair_text(apply->answer, "message", "Event received");
        pack_pair_str(apply->answer, "event_id", apply->header->id);
        pack_pair_uint(apply->answer, "seq", apply->header->seq);
        bucket_audit_answer(apply->answer, &entry, &place);
    }
    return err;
}

// Keeps the event and everything that finds it.
static bus_err_t
store_event(service_apply_t *apply, const schema_core_event_t *event, bus_view_t stored)
{
    bus_view_t agent_id = bucket_event_text(event->agent_id, BUCKET_INDEX_VALUE_MAX);
    bus_err_t err = store_append(apply->txn, BUCKET_EVENTS, STORE_U64(apply->header->seq), stored);
    if (err == BUS_OK) {
        err = add_indexes(apply, event, agent_id);
    }
    if (err == BUS_OK && agent_id.data != NULL) {
        err = bucket_context_note(apply, agent_id, event_type(apply, event));
    }
    return err;
}

bus_err_t
bucket_event_apply(service_apply_t *apply, const void *message)
{
    const schema_core_event_t *event = message;
    bucket_state_t *state = apply->state;
    if (!is_one_of(event->requester_id, writers, COUNT(writers))) {
        return refuse(apply, event);
    }
    BUS_AUTO(pack_destroy) pack_t *stored = pack_new();
    pack_event(apply, event, stored);
    bus_err_t err = store_event(apply, event, pack_view(stored));
    if (err == BUS_OK) {
        err = bucket_forward_event(apply, event, event_type(apply, event));
    }
    if (err == BUS_OK) {
        err = audit(apply, event, pack_view(stored));
    }
    if (err == BUS_OK) {
        state->totals.events++;
        err = bucket_tables_save(apply->txn, &state->totals);
    }
    return err;
}
