// retention_owner.c - what the owner may do to what is kept: hold it, let it go, delete it; and let
// sweeps go on.
//
// The signature is checked first, whatever else the request says (config.h).
#include "artifact_damage.h"
#include "artifact_store.h"
#include "config.h"
#include "governance.h"
#include "retention.h"
#include "retention_decision.h"

#define OWNER VIEW_LITERAL("owner")

static bus_err_t
put_expiry(store_txn_t *txn, const bucket_artifact_t *artifact)
{
    bucket_artifact_expiry_t key;
    bucket_artifact_store_expiry(artifact->row.retention_until, artifact->seq, &key);
    return store_put(
        txn, BUCKET_EXPIRIES, view_from(key.bytes, sizeof key.bytes), view_from("", 0));
}

// What both of the owner's operations on an artifact ask for.
typedef struct {
    const char *operation;
    bus_view_t artifact_id;
    bus_view_t product_name;
    bus_view_t reason;
    channel_product_t product;
} owner_request_t;

static bus_err_t
refuse(service_apply_t *apply, const owner_request_t *request, bus_err_t err, const char *message)
{
    const bucket_refusal_t refusal = {
        .err = err,
        .message = message,
        .operation = request->operation,
        .product = request->product_name,
        .requester_id = OWNER,
        .subject = request->artifact_id,
    };
    return bucket_governance_refuse(apply, &refusal);
}

static bus_err_t
refuse_damaged(service_apply_t *apply, const owner_request_t *request, const char *what)
{
    const bucket_artifact_damage_t damage = {
        .operation = request->operation,
        .what = what,
        .product = request->product,
        .requester_id = OWNER,
        .artifact_id = request->artifact_id,
    };
    return bucket_artifact_damage_refuse(apply, &damage);
}

// Finds the artifact that is there, in memory of `buffer`, or refuses.
static bus_err_t
require(service_apply_t *apply,
        owner_request_t *request,
        pack_t *buffer,
        bucket_artifact_t *ret_artifact)
{
    request->product = channel_product(request->product_name);
    if (request->product == CHANNEL_PRODUCT_COUNT) {
        const schema_problems_t problems = {
            .count = 1,
            .at = {{"product", "must be one of ai_assistant, ai_avatar, gurukul, enforcement"}}};
        return bucket_governance_refuse_problems(apply, &problems, request->operation, apply->body);
    }
    bus_err_t err =
        bucket_artifact_find(apply->txn, request->product, request->artifact_id, ret_artifact);
    if (err == BUS_CORRUPT) {
        return refuse_damaged(apply, request, "record");
    }
    if (err == BUS_ARTIFACT_NOT_FOUND || (err == BUS_OK && ret_artifact->row.removed_at != 0)) {
        return refuse(
            apply, request, BUS_ARTIFACT_NOT_FOUND, "Artifact does not exist or access denied");
    }
    if (err == BUS_OK) {
        bucket_artifact_store_own(ret_artifact, buffer);
    }
    return err;
}

// Audits what was decided and begins its answer, of which `pairs` more are the caller's.
static bus_err_t
conclude(service_apply_t *apply,
         const owner_request_t *request,
         const bucket_retention_decision_t *decision,
         const bucket_artifact_t *artifact,
         uint32_t pairs)
{
    bucket_audit_t entry;
    bucket_audit_place_t place;
    bus_err_t err = bucket_retention_decision_audit(apply, decision, artifact, &entry, &place);
    if (err == BUS_OK) {
        pack_map(apply->answer, 6 + pairs);
        pack_pair_text(apply->answer, "status", "success");
        pack_pair_str(apply->answer, "artifact_id", artifact->artifact_id);
        pack_pair_str(apply->answer, "product", request->product_name);
        bucket_audit_answer(apply->answer, &entry, &place);
    }
    return err;
}

static bus_err_t
hold(service_apply_t *apply, const schema_legal_hold_t *asked)
{
    owner_request_t request = {.operation = "legal_hold",
                               .artifact_id = asked->artifact_id,
                               .product_name = asked->product,
                               .reason = asked->reason};
    BUS_AUTO(pack_destroy) pack_t *buffer = pack_new();
    bucket_artifact_t artifact = {.seq = 0};
    bus_err_t err = require(apply, &request, buffer, &artifact);
    if (err != BUS_OK) {
        return err;
    }
    artifact.row.is_held = asked->hold.value ? 1 : 0;
    err = bucket_artifact_put(apply->txn, &artifact);
    if (err == BUS_OK && !asked->hold.value) {
        err = put_expiry(apply->txn, &artifact); // a sweep may have taken it out of its way
    }
    const bucket_retention_decision_t decision = {
        .event_type = "owner",
        .operation = request.operation,
        .rule = asked->hold.value ? "hold_set" : "hold_released",
        .requester_id = OWNER,
        .reason = request.reason,
    };
    err = err == BUS_OK ? conclude(apply, &request, &decision, &artifact, 2) : err;
    if (err == BUS_OK) {
        pack_pair_bool(apply->answer, "hold", asked->hold.value);
        pack_pair_rfc3339(apply->answer, "retention_until", artifact.row.retention_until);
    }
    return err;
}

static bus_err_t
delete_approved(service_apply_t *apply, const schema_deletion_approve_t *asked)
{
    owner_request_t request = {.operation = "deletion_approve",
                               .artifact_id = asked->artifact_id,
                               .product_name = asked->product,
                               .reason = asked->reason};
    BUS_AUTO(pack_destroy) pack_t *buffer = pack_new();
    bucket_artifact_t artifact = {.seq = 0};
    bus_err_t err = require(apply, &request, buffer, &artifact);
    if (err != BUS_OK) {
        return err;
    }
    if (artifact.row.is_held != 0) {
        return refuse(apply, &request, BUS_LEGAL_HOLD, "The artifact is under a legal hold");
    }
    bus_view_t tags[CHANNEL_TAGS_MAX];
    uint32_t tag_count = channel_tags(artifact.metadata, tags);
    err = bucket_artifact_store_check(apply->txn, request.product, tags, tag_count);
    if (err == BUS_CORRUPT) {
        return refuse_damaged(apply, &request, "counter");
    }
    if (err == BUS_OK) {
        err = bucket_artifact_store_drop(apply, &artifact);
    }
    const bucket_retention_decision_t decision = {
        .event_type = "owner",
        .operation = request.operation,
        .rule = "owner_approval",
        .requester_id = OWNER,
        .reason = request.reason,
        .is_removed = true,
    };
    err = err == BUS_OK ? conclude(apply, &request, &decision, &artifact, 1) : err;
    if (err == BUS_OK) {
        pack_pair_rfc3339(apply->answer, "deleted_at", apply->header->at);
    }
    return err;
}

// Whether it is the owner who asks, and what.
static bus_err_t
decode(service_apply_t *apply, const schema_t *schema, const char *operation, void *ret_message)
{
    bus_err_t err = bucket_config_require_owner(apply, operation);
    if (err != BUS_OK) {
        return err;
    }
    schema_problems_t problems;
    if (schema_decode(schema, apply->body, ret_message, &problems) != BUS_OK) {
        return bucket_governance_refuse_problems(apply, &problems, operation, apply->body);
    }
    return BUS_OK;
}

bus_err_t
bucket_retention_hold(service_apply_t *apply, const void *message BUS_UNUSED)
{
    schema_legal_hold_t asked;
    bus_err_t err = decode(apply, &SCHEMA_legal_hold, "legal_hold", &asked);
    return err == BUS_OK ? hold(apply, &asked) : err;
}

bus_err_t
bucket_retention_delete(service_apply_t *apply, const void *message BUS_UNUSED)
{
    schema_deletion_approve_t asked;
    bus_err_t err = decode(apply, &SCHEMA_deletion_approve, "deletion_approve", &asked);
    return err == BUS_OK ? delete_approved(apply, &asked) : err;
}

bus_err_t
bucket_retention_resume(service_apply_t *apply, const void *message BUS_UNUSED)
{
    schema_retention_resume_t asked;
    bus_err_t err = decode(apply, &SCHEMA_retention_resume, "retention_resume", &asked);
    if (err != BUS_OK) {
        return err;
    }
    bucket_state_t *state = apply->state;
    uint64_t held_since = state->totals.held_since;
    state->totals.held_since = 0;
    err = bucket_tables_save(apply->txn, &state->totals);
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, 2);
    pack_pair_uint(details, "held_since", held_since);
    pack_pair_str(details, "reason", asked.reason);
    const bucket_audit_t entry = {
        .event_type = "owner",
        .operation = "retention_resume",
        .requester_id = OWNER,
        .rule = "owner_approval",
        .details = pack_view(details),
    };
    bucket_audit_place_t place;
    err = bucket_audit_add(apply, &entry, &place);
    if (err == BUS_OK) {
        pack_map(apply->answer, 6);
        pack_pair_text(apply->answer, "status", "success");
        pack_pair_bool(apply->answer, "was_held", held_since != 0);
        pack_pair_rfc3339(apply->answer, "resumed_at", apply->header->at);
        bucket_audit_answer(apply->answer, &entry, &place);
    }
    return err;
}
