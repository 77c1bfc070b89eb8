// context.c - what is known of an agent.
//
// Stored as {count, last, types: [type of the last events, oldest first]}; `last` is the journal's
// time in microseconds.
#include "context.h"

#include "audit.h"
#include "governance.h"
#include "proto/walk.h"

typedef struct {
    uint64_t count;                         // events
    uint64_t last;                          // journal's time of the last one
    bus_view_t types[BUCKET_CONTEXT_TYPES]; // oldest first, views into the stored record
    uint32_t type_count;
} context_t;

static bus_err_t
context_find(store_txn_t *txn, bus_view_t agent_id, context_t *ret_context)
{
    *ret_context = (context_t){0};
    bus_view_t stored;
    bus_err_t err = store_get(txn, BUCKET_AGENTS, agent_id, &stored);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t value;
    bus_view_t types = VIEW_NONE;
    if (walk_find(stored, "count", &value) != BUS_OK ||
        walk_as_uint(value, &ret_context->count) != BUS_OK ||
        walk_find(stored, "last", &value) != BUS_OK ||
        walk_as_uint(value, &ret_context->last) != BUS_OK ||
        walk_find(stored, "types", &types) != BUS_OK) {
        return BUS_CORRUPT;
    }
    walk_t walk = walk_from(types);
    walk_item_t item;
    err = walk_next(&walk, &item);
    if (err != BUS_OK || item.type != WALK_ARRAY || item.count > BUCKET_CONTEXT_TYPES) {
        return BUS_CORRUPT;
    }
    for (uint32_t i = 0, count = item.count; i < count; i++) {
        if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_STR) {
            return BUS_CORRUPT;
        }
        ret_context->types[ret_context->type_count++] = item.bytes;
    }
    return BUS_OK;
}

bus_err_t
bucket_context_note(service_apply_t *apply, bus_view_t agent_id, bus_view_t event_type)
{
    bucket_state_t *state = apply->state;
    context_t context;
    bus_err_t err = context_find(apply->txn, agent_id, &context);
    if (err == BUS_NOT_FOUND) {
        state->totals.agents++;
    } else if (err == BUS_CORRUPT) { // one damaged record must not stop the journal
        state->totals.damaged++;
        context = (context_t){0};
    } else if (err != BUS_OK) {
        return err;
    }
    uint32_t skip = context.type_count == BUCKET_CONTEXT_TYPES ? 1 : 0;
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, 3);
    pack_pair_uint(out, "count", context.count + 1);
    pack_pair_uint(out, "last", apply->header->at);
    pack_text(out, "types");
    pack_array(out, context.type_count - skip + 1);
    for (uint32_t i = skip; i < context.type_count; i++) {
        pack_str(out, context.types[i]);
    }
    pack_str(out, event_type);
    return store_put(apply->txn, BUCKET_AGENTS, agent_id, pack_view(out));
}

// Each type once, the latest first.
static void
pack_distinct(const context_t *context, pack_t *out)
{
    size_t array = pack_array_begin(out);
    uint32_t count = 0;
    for (uint32_t i = context->type_count; i-- > 0;) {
        bool seen = false;
        for (uint32_t j = i + 1; j < context->type_count; j++) {
            seen = seen || view_equal(context->types[i], context->types[j]);
        }
        if (!seen) {
            pack_str(out, context->types[i]);
            count++;
        }
    }
    pack_count(out, array, count);
}

static bus_err_t
refuse(service_apply_t *apply, const schema_context_read_t *read)
{
    const bucket_refusal_t refusal = {
        .err = refusal_not_yours.err,
        .message = "Unauthorized requester",
        .operation = "read-context",
        .rule = refusal_not_yours.rule,
        .violation = refusal_not_yours.violation,
        .threat = refusal_not_yours.threat,
        .requester_id = read->requester_id,
        .subject = read->agent_id,
    };
    return bucket_governance_refuse(apply, &refusal);
}

static bus_err_t
refuse_damaged(service_apply_t *apply, const schema_context_read_t *read)
{
    bucket_state_t *state = apply->state;
    const bucket_refusal_t refusal = {
        .err = BUS_CORRUPT,
        .operation = "read-context",
        .rule = "integrity",
        .requester_id = read->requester_id,
        .subject = read->agent_id,
    };
    state->totals.damaged++;
    return bucket_governance_refuse(apply, &refusal);
}

static void
pack_context(bus_view_t agent_id, const context_t *context, pack_t *out)
{
    pack_text(out, "context");
    pack_map(out, 4);
    pack_pair_str(out, "agent_id", agent_id);
    pack_pair_uint(out, "event_count", context->count);
    pack_pair_rfc3339(out, "last_updated", context->last);
    pack_text(out, "recent_event_types");
    pack_distinct(context, out);
}

bus_err_t
bucket_context_read(service_apply_t *apply, const void *message)
{
    const schema_context_read_t *read = message;
    if (!view_is(read->requester_id, "bhiv_core")) {
        return refuse(apply, read);
    }
    context_t context;
    bus_err_t found = context_find(apply->txn, read->agent_id, &context);
    if (found == BUS_CORRUPT) {
        return refuse_damaged(apply, read);
    }
    pack_map(apply->answer, 5); // before the next write, with which the context's views die
    pack_pair_bool(apply->answer, "success", true);
    if (found == BUS_NOT_FOUND) {
        pack_pair_nil(apply->answer, "context");
    } else if (found == BUS_OK) {
        pack_context(read->agent_id, &context, apply->answer);
    } else {
        return found;
    }
    const bucket_audit_t entry = {
        .event_type = "read",
        .operation = "read-context",
        .requester_id = read->requester_id,
        .subject = read->agent_id,
    };
    bucket_audit_place_t place;
    bus_err_t err = bucket_audit_add(apply, &entry, &place);
    if (err == BUS_OK) {
        bucket_audit_answer(apply->answer, &entry, &place);
    }
    return err;
}
