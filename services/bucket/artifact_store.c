// artifact_store.c - an artifact on disk.
//
// Written once, under the seq of the record that wrote it: two appends (record, content), one row
// by id, one by expiry, one of its product and one of each tag, and three counters. A removed
// artifact keeps its record without the metadata, as a tombstone, and its id, which stays taken.
#include "artifact_store.h"

#include "index.h"
#include "quota.h"

#include <assert.h>
#include <endian.h>

enum { ID_KEY_SIZE = 1 + MERKLE_HASH_SIZE };

typedef struct {
    uint8_t bytes[ID_KEY_SIZE]; // product, SHA-256 of artifact_id: ids are longer than keys may be
} id_key_t;

static id_key_t
id_key(channel_product_t product, bus_view_t artifact_id)
{
    merkle_hash_t hash;
    merkle_sha256(artifact_id, &hash);
    id_key_t key = {.bytes = {(uint8_t) product}};
    memcpy(key.bytes + 1, hash.bytes, sizeof hash.bytes);
    return key;
}

bus_err_t
bucket_artifact_store_seq(store_txn_t *txn,
                          channel_product_t product,
                          bus_view_t artifact_id,
                          uint64_t *ret_seq)
{
    id_key_t key = id_key(product, artifact_id);
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_IDS, view_from(key.bytes, sizeof key.bytes), &value);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_ARTIFACT_NOT_FOUND : err;
    }
    if (value.size != sizeof *ret_seq) {
        return BUS_CORRUPT;
    }
    memcpy(ret_seq, value.data, sizeof *ret_seq);
    return BUS_OK;
}

// --- Records -------------------------------------------------------------------------------------

// Cuts one text off what follows the row. An empty one that may be absent is absent.
static bus_view_t
cut(bus_view_t *rest, uint32_t size)
{
    bus_view_t text = size == 0 ? VIEW_NONE : view_from(rest->data, size);
    *rest = view_from(rest->data + size, rest->size - size);
    return text;
}

static bus_err_t
decode(uint64_t seq, bus_view_t stored, bucket_artifact_t *ret_artifact)
{
    bucket_artifact_t artifact = {.seq = seq};
    if (stored.size < sizeof artifact.row) {
        return BUS_CORRUPT;
    }
    const bucket_artifact_row_t *row = &artifact.row;
    memcpy(&artifact.row, stored.data, sizeof artifact.row);
    bus_view_t rest = view_from(stored.data + sizeof *row, stored.size - sizeof *row);
    uint64_t said =
        (uint64_t) row->id_size + row->requester_size + row->trace_size + row->metadata_size;
    if (row->product >= CHANNEL_PRODUCT_COUNT || row->id_size == 0 || said != rest.size) {
        return BUS_CORRUPT;
    }
    artifact.artifact_id = cut(&rest, row->id_size);
    artifact.requester_id = cut(&rest, row->requester_size);
    artifact.trace_id = cut(&rest, row->trace_size);
    artifact.metadata = cut(&rest, row->metadata_size);
    *ret_artifact = artifact;
    return BUS_OK;
}

// The bytes of a record; fills in the row's sizes.
static void
encode(bucket_artifact_t *artifact, pack_t *out)
{
    bucket_artifact_row_t *row = &artifact->row;
    row->id_size = (uint32_t) artifact->artifact_id.size;
    row->requester_size = (uint32_t) artifact->requester_id.size;
    row->trace_size = (uint32_t) artifact->trace_id.size;
    row->metadata_size = (uint32_t) artifact->metadata.size;
    pack_raw(out, view_from(row, sizeof *row));
    pack_raw(out, artifact->artifact_id);
    pack_raw(out, artifact->requester_id);
    pack_raw(out, artifact->trace_id);
    pack_raw(out, artifact->metadata);
}

bus_err_t
bucket_artifact_get(store_txn_t *txn, uint64_t seq, bucket_artifact_t *ret_artifact)
{
    bus_view_t stored;
    bus_err_t err = store_get(txn, BUCKET_ARTIFACTS, STORE_U64(seq), &stored);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_ARTIFACT_NOT_FOUND : err;
    }
    return decode(seq, stored, ret_artifact);
}

bus_err_t
bucket_artifact_find(store_txn_t *txn,
                     channel_product_t product,
                     bus_view_t artifact_id,
                     bucket_artifact_t *ret_artifact)
{
    uint64_t seq;
    bus_err_t err = bucket_artifact_store_seq(txn, product, artifact_id, &seq);
    if (err != BUS_OK) {
        return err;
    }
    bucket_artifact_t artifact;
    err = bucket_artifact_get(txn, seq, &artifact);
    if (err != BUS_OK) {
        return err == BUS_ARTIFACT_NOT_FOUND ? BUS_CORRUPT : err; // an id without its record
    }
    if (artifact.row.product != product || !view_equal(artifact.artifact_id, artifact_id)) {
        return BUS_CORRUPT;
    }
    *ret_artifact = artifact;
    return BUS_OK;
}

bus_err_t
bucket_artifact_put(store_txn_t *txn, const bucket_artifact_t *artifact)
{
    BUS_AUTO(pack_destroy) pack_t *bytes = pack_new();
    bucket_artifact_t copy = *artifact;
    encode(&copy, bytes);
    return store_put(txn, BUCKET_ARTIFACTS, STORE_U64(artifact->seq), pack_view(bytes));
}

void
bucket_artifact_store_own(bucket_artifact_t *artifact, pack_t *buffer)
{
    pack_clear(buffer);
    encode(artifact, buffer);
    bus_err_t err = decode(artifact->seq, pack_view(buffer), artifact);
    assert(err == BUS_OK); // we encoded it
}

// --- Rows beside the record ----------------------------------------------------------------------

void
bucket_artifact_store_expiry(uint64_t retention_until,
                             uint64_t seq,
                             bucket_artifact_expiry_t *ret_key)
{
    const uint64_t big[2] = {htobe64(retention_until), htobe64(seq)};
    memcpy(ret_key->bytes, big, sizeof big);
}

void
bucket_artifact_store_expiry_read(bus_view_t key, uint64_t *ret_retention_until, uint64_t *ret_seq)
{
    assert(key.size == BUCKET_ARTIFACT_EXPIRY_SIZE);
    uint64_t big[2];
    memcpy(big, key.data, sizeof big);
    *ret_retention_until = be64toh(big[0]);
    *ret_seq = be64toh(big[1]);
}

bus_view_t
bucket_artifact_store_tag(channel_product_t product, bus_view_t tag, bucket_artifact_tag_t *ret)
{
    assert(tag.size <= CHANNEL_TAG_SIZE_MAX);
    ret->bytes[0] = (uint8_t) product;
    if (tag.size > 0) {
        memcpy(ret->bytes + 1, tag.data, tag.size);
    }
    return view_from(ret->bytes, 1 + tag.size);
}

bus_err_t
bucket_artifact_store_check(store_txn_t *txn,
                            channel_product_t product,
                            const bus_view_t *tags,
                            uint32_t tag_count)
{
    bucket_artifact_tag_t value;
    bucket_quota_use_t use;
    uint64_t count;
    bus_err_t err = bucket_quota_get(txn, product, &use);
    if (err == BUS_OK) {
        err = bucket_index_count(txn,
                                 BUCKET_INDEX_PRODUCT,
                                 bucket_artifact_store_tag(product, VIEW_NONE, &value),
                                 &count);
    }
    for (uint32_t i = 0; err == BUS_OK && i < tag_count; i++) {
        err = bucket_index_count(
            txn, BUCKET_INDEX_TAG, bucket_artifact_store_tag(product, tags[i], &value), &count);
    }
    return err;
}

static bus_err_t
add_indexes(service_apply_t *apply, const channel_write_t *write)
{
    uint64_t seq = apply->header->seq;
    bucket_artifact_tag_t value;
    bus_err_t err = bucket_index_add(apply->txn,
                                     BUCKET_INDEX_PRODUCT,
                                     bucket_artifact_store_tag(write->product, VIEW_NONE, &value),
                                     seq);
    for (uint32_t i = 0; err == BUS_OK && i < write->tag_count; i++) {
        err = bucket_index_add(apply->txn,
                               BUCKET_INDEX_TAG,
                               bucket_artifact_store_tag(write->product, write->tags[i], &value),
                               seq);
    }
    return err;
}

static bus_err_t
put_rows(service_apply_t *apply, const bucket_artifact_t *artifact)
{
    bucket_artifact_expiry_t expiry;
    bucket_artifact_store_expiry(artifact->row.retention_until, artifact->seq, &expiry);
    id_key_t key = id_key(artifact->row.product, artifact->artifact_id);
    bus_err_t err = store_put(apply->txn,
                              BUCKET_IDS,
                              view_from(key.bytes, sizeof key.bytes),
                              view_from(&artifact->seq, sizeof artifact->seq));
    return err == BUS_OK ? store_put(apply->txn,
                                     BUCKET_EXPIRIES,
                                     view_from(expiry.bytes, sizeof expiry.bytes),
                                     view_from("", 0))
                         : err;
}

bus_err_t
bucket_artifact_store_add(service_apply_t *apply,
                          bucket_artifact_t *artifact,
                          const channel_write_t *write)
{
    bucket_state_t *state = apply->state;
    assert(artifact->seq == apply->header->seq);
    pack_clear(state->scratch);
    encode(artifact, state->scratch);
    bus_err_t err = store_append(
        apply->txn, BUCKET_ARTIFACTS, STORE_U64(artifact->seq), pack_view(state->scratch));
    if (err == BUS_OK) {
        err = store_append(apply->txn, BUCKET_CONTENTS, STORE_U64(artifact->seq), write->content);
    }
    if (err == BUS_CONFLICT) {
        return BUS_CORRUPT; // seqs ascend: a key above ours was never written
    }
    if (err == BUS_OK) {
        err = put_rows(apply, artifact);
    }
    if (err == BUS_OK) {
        err = add_indexes(apply, write);
    }
    if (err == BUS_OK) {
        uint64_t bytes = artifact->row.content_size + artifact->row.metadata_size;
        err = bucket_quota_add(apply, write->product, bytes);
    }
    if (err == BUS_OK) {
        state->totals.artifacts++;
        err = bucket_tables_save(apply->txn, &state->totals);
    }
    return err;
}

// --- Taking away ---------------------------------------------------------------------------------

// What is already gone needs no removing.
static bus_err_t
unless_gone(bus_err_t err)
{
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
remove_indexes(service_apply_t *apply, const bucket_artifact_t *artifact)
{
    channel_product_t product = artifact->row.product;
    bus_view_t tags[CHANNEL_TAGS_MAX];
    uint32_t tag_count = channel_tags(artifact->metadata, tags);
    bucket_artifact_tag_t value;
    bus_err_t err =
        unless_gone(bucket_index_remove(apply->txn,
                                        BUCKET_INDEX_PRODUCT,
                                        bucket_artifact_store_tag(product, VIEW_NONE, &value),
                                        artifact->seq));
    for (uint32_t i = 0; err == BUS_OK && i < tag_count; i++) {
        err = unless_gone(bucket_index_remove(apply->txn,
                                              BUCKET_INDEX_TAG,
                                              bucket_artifact_store_tag(product, tags[i], &value),
                                              artifact->seq));
    }
    return err;
}

bus_err_t
bucket_artifact_store_drop(service_apply_t *apply, bucket_artifact_t *artifact)
{
    bucket_state_t *state = apply->state;
    assert(artifact->row.removed_at == 0);
    channel_product_t product = artifact->row.product;
    uint64_t bytes = artifact->row.content_size + artifact->row.metadata_size;
    bucket_artifact_expiry_t expiry;
    bucket_artifact_store_expiry(artifact->row.retention_until, artifact->seq, &expiry);
    bus_err_t err = remove_indexes(apply, artifact);
    if (err == BUS_OK) {
        err = unless_gone(store_del(apply->txn, BUCKET_CONTENTS, STORE_U64(artifact->seq)));
    }
    if (err == BUS_OK) {
        err = unless_gone(
            store_del(apply->txn, BUCKET_EXPIRIES, view_from(expiry.bytes, sizeof expiry.bytes)));
    }
    if (err == BUS_OK) {
        artifact->row.removed_at = apply->header->at;
        artifact->metadata = VIEW_NONE;
        err = bucket_artifact_put(apply->txn, artifact);
    }
    if (err == BUS_OK) {
        err = bucket_quota_remove(apply, product, bytes);
    }
    if (err == BUS_OK) {
        state->totals.artifacts--;
        state->totals.removed++;
        err = bucket_tables_save(apply->txn, &state->totals);
    }
    return err;
}
