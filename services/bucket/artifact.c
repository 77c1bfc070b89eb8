// artifact.c - writing and reading one artifact. docs/contract.md section 3.
//
// A request is first looked through for what nobody may ask (proto/refusal.h), then checked
// (proto/channel.h), then against what is stored; only then is anything written. Every way out is
// audited. A read looks for its id in all four products, whichever it asks for, so that what
// another product holds shows neither in the answer nor in how long it takes.
#include "artifact.h"

#include "artifact_damage.h"
#include "artifact_store.h"
#include "audit_entry.h"
#include "governance.h"
#include "monitor.h"
#include "quota.h"
#include "storage.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define DAY_US UINT64_C(86400000000)

enum {
    THREAT_STORAGE = 1,      // storage exhaustion
    WRITTEN_PAIRS = 6,       // of a write's live message
    THREAT_DUPLICATE = 4,    // write collisions
    CHECKSUM_SIZE = 7 + 65,  // "sha256:", hex, NUL
    LOCATION_SIZE_MAX = 512, // of "bucket://<product>/<artifact_id>"
    PROVENANCE_ID_SIZE = 48, // of "audit_<seq>"
};

static const char not_found[] = "Artifact does not exist or access denied";

// What both operations know of a request.
typedef struct {
    const char *operation; // the channel's name
    channel_product_t product;
    bus_view_t requester_id;
    bus_view_t artifact_id;
} request_t;

static void
format_checksum(const merkle_hash_t *hash, char ret_text[CHECKSUM_SIZE])
{
    char hex[BUCKET_AUDIT_HEX_SIZE];
    bucket_audit_entry_hex(hash, hex);
    (void) snprintf(ret_text, CHECKSUM_SIZE, "sha256:%s", hex);
}

// --- Refusals ------------------------------------------------------------------------------------

static bucket_refusal_t
refusal_of(const request_t *request, bus_err_t err, const char *message)
{
    return (bucket_refusal_t){
        .err = err,
        .message = message,
        .operation = request->operation,
        .product = view_from_text(channel_product_name(request->product)),
        .requester_id = request->requester_id,
        .subject = request->artifact_id,
    };
}

static bus_err_t
refuse_damaged(service_apply_t *apply, const request_t *request, const char *what, uint64_t seq)
{
    const bucket_artifact_damage_t damage = {
        .operation = request->operation,
        .what = what,
        .product = request->product,
        .requester_id = request->requester_id,
        .artifact_id = request->artifact_id,
        .seq = seq,
    };
    return bucket_artifact_damage_refuse(apply, &damage);
}

static bus_err_t
refuse_duplicate(service_apply_t *apply, const request_t *request)
{
    bucket_refusal_t refusal =
        refusal_of(request, BUS_DUPLICATE_ARTIFACT_ID, "Artifact ID already exists");
    refusal.rule = "unique_artifact_id";
    bus_err_t err = bucket_governance_count(apply, THREAT_DUPLICATE);
    return err == BUS_OK ? bucket_governance_refuse(apply, &refusal) : err;
}

static bus_err_t
refuse_quota(service_apply_t *apply, const request_t *request, uint64_t bytes)
{
    bucket_quota_use_t use;
    bus_err_t err = bucket_quota_get(apply->txn, request->product, &use);
    if (err == BUS_OK) {
        err = bucket_governance_count(apply, THREAT_STORAGE);
    }
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, 4);
    pack_pair_text(details, "product", channel_product_name(request->product));
    pack_pair_uint(details, "quota_bytes", use.quota);
    pack_pair_uint(details, "used_bytes", use.used);
    pack_pair_uint(details, "needed_bytes", bytes);
    bucket_refusal_t refusal =
        refusal_of(request, BUS_QUOTA_EXCEEDED, "Product storage quota exceeded");
    refusal.rule = "product_quota";
    refusal.details = pack_view(details);
    return bucket_governance_refuse(apply, &refusal);
}

// --- artifact_write ------------------------------------------------------------------------------

static bus_err_t
audit_write(service_apply_t *apply,
            const request_t *request,
            const bucket_artifact_t *artifact,
            bucket_audit_t *ret_entry,
            bucket_audit_place_t *ret_place)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    merkle_hash_t hash; // of the metadata, which the content's does not cover
    char hex[BUCKET_AUDIT_HEX_SIZE];
    merkle_sha256(artifact->metadata, &hash);
    bucket_audit_entry_hex(&hash, hex);
    pack_map(details, 3);
    pack_pair_uint(details, "bytes", artifact->row.content_size);
    pack_pair_uint(details, "retention_until", artifact->row.retention_until);
    pack_pair_text(details, "metadata_hash", hex);
    *ret_entry = (bucket_audit_t){
        .event_type = "write",
        .operation = request->operation,
        .product = view_from_text(channel_product_name(request->product)),
        .requester_id = request->requester_id,
        .subject = request->artifact_id,
        .content_hash = &artifact->row.checksum,
        .details = pack_view(details),
    };
    bus_err_t err = bucket_audit_add(apply, ret_entry, ret_place);
    ret_entry->details = VIEW_NONE; // they die here
    return err;
}

// The map that is the live message, and the first pairs of the answer.
static void
pack_written(pack_t *out, const bucket_artifact_t *artifact)
{
    char location[LOCATION_SIZE_MAX];
    int size = snprintf(location,
                        sizeof location,
                        "bucket://%s/%.*s",
                        channel_product_name(artifact->row.product),
                        (int) artifact->artifact_id.size,
                        artifact->artifact_id.data);
    assert(size > 0 && size < (int) sizeof location);
    pack_map(out, WRITTEN_PAIRS);
    pack_pair_text(out, "channel", "write_confirmation");
    pack_pair_text(out, "status", "success");
    pack_pair_str(out, "artifact_id", artifact->artifact_id);
    pack_pair_rfc3339(out, "stored_at", artifact->row.created_at);
    pack_pair_rfc3339(out, "retention_until", artifact->row.retention_until);
    pack_pair_text(out, "storage_location", location);
}

static bus_err_t
answer_write(service_apply_t *apply, const request_t *request, const bucket_artifact_t *artifact)
{
    bucket_audit_t entry;
    bucket_audit_place_t place;
    bus_err_t err = audit_write(apply, request, artifact, &entry, &place);
    if (err != BUS_OK) {
        return err;
    }
    char checksum[CHECKSUM_SIZE];
    format_checksum(&artifact->row.checksum, checksum);
    bucket_state_t *state = apply->state;
    pack_t *live = state->scratch;
    pack_clear(live);
    pack_written(live, artifact);
    bus_view_t pairs = pack_view(live); // behind one byte: the head of a map of less than sixteen
    pack_map(apply->answer, WRITTEN_PAIRS + 4);
    pack_raw(apply->answer, view_from(pairs.data + 1, pairs.size - 1));
    pack_pair_text(apply->answer, "checksum", checksum);
    bucket_audit_answer(apply->answer, &entry, &place);
    bucket_monitor_tell(apply, "write_confirmation", request->product, pack_view(live));
    return BUS_OK;
}

// Whether the artifact may be added: all that is asked of the store before the first write.
static bus_err_t
check_write(service_apply_t *apply,
            const request_t *request,
            const channel_write_t *write,
            uint64_t bytes)
{
    uint64_t seq;
    bus_err_t err =
        bucket_artifact_store_seq(apply->txn, request->product, request->artifact_id, &seq);
    if (err == BUS_OK) {
        return refuse_duplicate(apply, request);
    }
    if (err == BUS_CORRUPT) {
        return refuse_damaged(apply, request, "id", 0);
    }
    if (err != BUS_ARTIFACT_NOT_FOUND) {
        return err;
    }
    const bucket_refusal_t full = refusal_of(request, BUS_FULL, NULL);
    err = bucket_storage_require(apply, &full);
    if (err != BUS_OK) {
        return err;
    }
    err = bucket_artifact_store_check(apply->txn, request->product, write->tags, write->tag_count);
    if (err == BUS_OK) {
        err = bucket_quota_check(apply->txn, request->product, bytes);
    }
    if (err == BUS_CORRUPT) {
        return refuse_damaged(apply, request, "counter", 0);
    }
    return err == BUS_QUOTA_EXCEEDED ? refuse_quota(apply, request, bytes) : err;
}

bus_err_t
bucket_artifact_write(service_apply_t *apply, const void *message BUS_UNUSED)
{
    request_t request = {.operation = channel_name(CHANNEL_ARTIFACT_WRITE)};
    const refusal_t *row = refusal_find(apply->body);
    if (row != NULL) {
        return bucket_governance_refuse_row(apply, row, request.operation, apply->body);
    }
    channel_write_t write;
    schema_problems_t problems;
    if (channel_decode_write(apply->body, &write, &problems) != BUS_OK) {
        return bucket_governance_refuse_problems(apply, &problems, request.operation, apply->body);
    }
    request.product = write.product;
    request.requester_id = channel_requester(apply->body);
    request.artifact_id = write.artifact_id;
    bus_err_t err = check_write(apply, &request, &write, write.content.size + write.metadata.size);
    if (err != BUS_OK) {
        return err;
    }
    uint64_t now = apply->header->at;
    bucket_artifact_t artifact = {
        .seq = apply->header->seq,
        .row = {.created_at = now,
                .retention_until = now + write.retention_days * DAY_US,
                .content_size = write.content.size,
                .product = write.product},
        .artifact_id = write.artifact_id,
        .requester_id = request.requester_id,
        .trace_id = apply->header->trace_id,
        .metadata = write.metadata,
    };
    merkle_sha256(write.content, &artifact.row.checksum);
    err = bucket_artifact_store_add(apply, &artifact, &write);
    return err == BUS_OK ? answer_write(apply, &request, &artifact) : err;
}

// --- artifact_read -------------------------------------------------------------------------------

// Where an id is, in every product.
typedef struct {
    bus_err_t err; // of the product asked for: BUS_OK, BUS_ARTIFACT_NOT_FOUND, BUS_CORRUPT
    uint64_t seq;
    bool is_elsewhere; // another product has, or had, an artifact of this id
} whereabouts_t;

static bus_err_t
look_everywhere(store_txn_t *txn, const request_t *request, whereabouts_t *ret)
{
    *ret = (whereabouts_t){.err = BUS_ARTIFACT_NOT_FOUND};
    for (channel_product_t product = 0; product < CHANNEL_PRODUCT_COUNT; product++) {
        uint64_t seq = 0;
        bus_err_t err = bucket_artifact_store_seq(txn, product, request->artifact_id, &seq);
        if (err != BUS_OK && err != BUS_ARTIFACT_NOT_FOUND && err != BUS_CORRUPT) {
            return err;
        }
        if (product == request->product) {
            ret->err = err;
            ret->seq = seq;
        } else if (err == BUS_OK) {
            ret->is_elsewhere = true;
        }
    }
    return BUS_OK;
}

static bus_err_t
refuse_not_found(service_apply_t *apply, const request_t *request, bool is_elsewhere)
{
    bucket_refusal_t refusal = refusal_of(request, BUS_ARTIFACT_NOT_FOUND, not_found);
    if (is_elsewhere) {
        refusal.violation = refusal_cross_product.violation;
        refusal.threat = refusal_cross_product.threat;
        refusal.is_hidden = true;
    }
    return bucket_governance_refuse(apply, &refusal);
}

// The artifact and its content, both whole, or what is wrong: BUS_CORRUPT with *ret_what.
static bus_err_t
load(service_apply_t *apply,
     const request_t *request,
     uint64_t seq,
     bucket_artifact_t *ret_artifact,
     bus_view_t *ret_content,
     const char **ret_what)
{
    *ret_what = "record";
    bus_err_t err = bucket_artifact_get(apply->txn, seq, ret_artifact);
    if (err != BUS_OK) {
        return err == BUS_ARTIFACT_NOT_FOUND ? BUS_CORRUPT : err; // an id without its record
    }
    if (ret_artifact->row.product != request->product ||
        !view_equal(ret_artifact->artifact_id, request->artifact_id)) {
        return BUS_CORRUPT;
    }
    if (ret_artifact->row.removed_at != 0) {
        return BUS_ARTIFACT_NOT_FOUND;
    }
    *ret_what = "content";
    err = store_get(apply->txn, BUCKET_CONTENTS, STORE_U64(seq), ret_content);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_CORRUPT : err;
    }
    merkle_hash_t hash;
    merkle_sha256(*ret_content, &hash);
    return merkle_equal(&hash, &ret_artifact->row.checksum) ? BUS_OK : BUS_CORRUPT;
}

static void
pack_provenance(pack_t *out, const bucket_artifact_t *artifact, const char *checksum)
{
    char audit_id[PROVENANCE_ID_SIZE];
    (void) snprintf(audit_id, sizeof audit_id, "audit_%" PRIu64, artifact->seq);
    pack_text(out, "provenance");
    pack_map(out, 5);
    pack_pair_str(out, "requester_id", artifact->requester_id);
    pack_pair_str(out, "trace_id", artifact->trace_id);
    pack_pair_uint(out, "seq", artifact->seq);
    pack_pair_text(out, "checksum", checksum);
    pack_pair_text(out, "audit_id", audit_id);
}

static void
tell_read(service_apply_t *apply, const request_t *request, uint64_t created_at)
{
    bucket_state_t *state = apply->state;
    pack_t *live = state->scratch;
    pack_clear(live);
    pack_map(live, 5);
    pack_pair_text(live, "channel", "read_response");
    pack_pair_text(live, "status", "success");
    pack_pair_str(live, "artifact_id", request->artifact_id);
    pack_pair_rfc3339(live, "created_at", created_at);
    pack_pair_rfc3339(live, "accessed_at", apply->header->at);
    bucket_monitor_tell(apply, "read_response", request->product, pack_view(live));
}

// Packs before it audits: what was read from the store lies there only until the next write.
static bus_err_t
answer_read(service_apply_t *apply,
            const request_t *request,
            const bucket_artifact_t *artifact,
            bus_view_t content)
{
    pack_t *out = apply->answer;
    merkle_hash_t hash = artifact->row.checksum;
    uint64_t created_at = artifact->row.created_at;
    char checksum[CHECKSUM_SIZE];
    format_checksum(&hash, checksum);
    pack_map(out, 12);
    pack_pair_text(out, "channel", "read_response");
    pack_pair_text(out, "status", "success");
    pack_pair_str(out, "artifact_id", request->artifact_id);
    pack_pair_raw(out, "content", content);
    pack_pair_raw(out, "metadata", artifact->metadata);
    pack_pair_rfc3339(out, "created_at", created_at);
    pack_pair_rfc3339(out, "accessed_at", apply->header->at);
    pack_pair_text(out, "checksum", checksum);
    pack_provenance(out, artifact, checksum);
    const bucket_audit_t entry = {
        .event_type = "read",
        .operation = request->operation,
        .product = view_from_text(channel_product_name(request->product)),
        .requester_id = request->requester_id,
        .subject = request->artifact_id,
        .content_hash = &hash,
    };
    bucket_audit_place_t place;
    bus_err_t err = bucket_audit_add(apply, &entry, &place);
    if (err == BUS_OK) {
        bucket_audit_answer(out, &entry, &place);
        tell_read(apply, request, created_at);
    }
    return err;
}

bus_err_t
bucket_artifact_read(service_apply_t *apply, const void *message BUS_UNUSED)
{
    request_t request = {.operation = channel_name(CHANNEL_ARTIFACT_READ)};
    const refusal_t *row = bucket_governance_find_read(apply);
    if (row != NULL) {
        return bucket_governance_refuse_row(apply, row, request.operation, apply->body);
    }
    channel_read_t read;
    schema_problems_t problems;
    if (channel_decode_read(apply->body, &read, &problems) != BUS_OK) {
        return bucket_governance_refuse_problems(apply, &problems, request.operation, apply->body);
    }
    request.product = read.product;
    request.requester_id = channel_requester(apply->body);
    request.artifact_id = read.artifact_id;
    whereabouts_t where;
    bus_err_t err = look_everywhere(apply->txn, &request, &where);
    if (err != BUS_OK) {
        return err;
    }
    if (where.err == BUS_CORRUPT) {
        return refuse_damaged(apply, &request, "id", 0);
    }
    if (where.err == BUS_ARTIFACT_NOT_FOUND) {
        return refuse_not_found(apply, &request, where.is_elsewhere);
    }
    bucket_artifact_t artifact;
    bus_view_t content;
    const char *what;
    err = load(apply, &request, where.seq, &artifact, &content, &what);
    if (err == BUS_CORRUPT) {
        return refuse_damaged(apply, &request, what, where.seq);
    }
    if (err == BUS_ARTIFACT_NOT_FOUND) {
        return refuse_not_found(apply, &request, false);
    }
    return err == BUS_OK ? answer_read(apply, &request, &artifact, content) : err;
}
