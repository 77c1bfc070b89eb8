// refusal.c - what was refused, kept.
#include "refusal.h"

static bus_err_t
keep(service_apply_t *apply, const schema_refused_t *refused)
{
    bucket_state_t *state = apply->state;
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    size_t map = pack_map_begin(out);
    uint32_t count = 5;
    pack_pair_uint(out, "at", apply->header->at);
    pack_pair_str(out, "source", apply->header->source);
    pack_pair_str(out, "requester_id", refused->requester_id);
    pack_pair_str(out, "operation", refused->operation);
    pack_pair_str(out, "error_code", refused->error_code);
    if (refused->details.data != NULL) {
        pack_pair_raw(out, "details", refused->details);
        count++;
    }
    if (apply->header->trace_id.data != NULL) {
        pack_pair_str(out, "trace_id", apply->header->trace_id);
        count++;
    }
    pack_count(out, map, count);
    bus_err_t err =
        store_append(apply->txn, BUCKET_REFUSALS, STORE_U64(apply->header->seq), pack_view(out));
    if (err == BUS_OK) {
        state->totals.refused++;
        err = bucket_tables_save(apply->txn, &state->totals);
    }
    return err;
}

bus_err_t
bucket_refusal_record(service_apply_t *apply, const bucket_refusal_t *refusal, const char *message)
{
    const schema_refused_t refused = {
        .requester_id = refusal->requester_id,
        .operation = refusal->operation,
        .error_code = view_from_text(error_text(refusal->err)),
        .details = refusal->details,
    };
    bus_err_t err = keep(apply, &refused);
    if (err != BUS_OK) {
        return err;
    }
    return service_refuse(apply, refusal->err, message, VIEW_NONE);
}

bus_err_t
bucket_refusal_apply(service_apply_t *apply, const void *message)
{
    return keep(apply, message);
}
