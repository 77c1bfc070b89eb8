// retention_decision.c - what was decided about an artifact, as an audit entry.
#include "retention_decision.h"

bus_err_t
bucket_retention_decision_audit(service_apply_t *apply,
                                const bucket_retention_decision_t *decision,
                                const bucket_artifact_t *artifact,
                                bucket_audit_t *ret_entry,
                                bucket_audit_place_t *ret_place)
{
    bool has_reason = decision->reason.data != NULL;
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, has_reason ? 7 : 6);
    pack_pair_uint(details, "artifact_seq", artifact->seq);
    pack_pair_uint(details, "created_at", artifact->row.created_at);
    pack_pair_uint(details, "retention_until", artifact->row.retention_until);
    pack_pair_bool(details, "legal_hold", artifact->row.is_held != 0);
    pack_pair_bool(details, "removed", decision->is_removed);
    pack_pair_uint(details, "bytes", artifact->row.content_size);
    if (has_reason) {
        pack_pair_str(details, "reason", decision->reason);
    }
    *ret_entry = (bucket_audit_t){
        .event_type = decision->event_type,
        .operation = decision->operation,
        .product = view_from_text(channel_product_name(artifact->row.product)),
        .requester_id = decision->requester_id,
        .is_refused = decision->is_refused,
        .rule = decision->rule,
        .err = decision->is_refused ? BUS_LEGAL_HOLD : BUS_OK,
        .subject = artifact->artifact_id,
        .content_hash = &artifact->row.checksum,
        .details = pack_view(details),
    };
    bus_err_t err = bucket_audit_add(apply, ret_entry, ret_place);
    ret_entry->details = VIEW_NONE; // they die here
    return err;
}
