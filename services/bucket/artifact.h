// artifact.h - artifacts: written once, read exactly as they came, searched by what is said of
// them. docs/contract.md section 3.
#pragma once
#include "runtime/service.h"
#include "tables.h"

// A record of BUCKET_ARTIFACTS, in front of the metadata's bytes.
typedef struct {
    uint64_t created_at;      // microseconds
    uint64_t retention_until; // the same
    uint64_t removed_at;      // 0: it is there; else its content is gone, and this is its tombstone
    uint64_t content_size;    // bytes: with the metadata's, what counts for the quota
    uint32_t product;         // channel_product_t
    uint32_t is_held;         // under legal hold
    uint32_t id_size;         // artifact_id, requester_id, trace_id and metadata follow, in this
    uint32_t requester_size;  //   order
    uint32_t trace_size;
    uint32_t metadata_size;
    merkle_hash_t checksum; // SHA-256 of the content's msgpack, as it came
} bucket_artifact_row_t;

typedef struct {
    uint64_t seq;
    bucket_artifact_row_t row;
    bus_view_t artifact_id; // views into the store
    bus_view_t requester_id;
    bus_view_t trace_id;
    bus_view_t metadata;
} bucket_artifact_t;

// Applies bucket.artifact_write, bucket.artifact_read, bucket.metadata_query. Each audits before it
// answers, and refuses through governance.h.
BUS_CHECK bus_err_t bucket_artifact_write(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t bucket_artifact_read(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t bucket_artifact_query(service_apply_t *apply, const void *message);

// The record of one artifact, removed ones too. BUS_ARTIFACT_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t bucket_artifact_find(store_txn_t *txn,
                                         channel_product_t product,
                                         bus_view_t artifact_id,
                                         bucket_artifact_t *ret_artifact);
BUS_CHECK bus_err_t bucket_artifact_get(store_txn_t *txn,
                                        uint64_t seq,
                                        bucket_artifact_t *ret_artifact);
// Writes its record back with another row (hold, removal).
BUS_CHECK bus_err_t bucket_artifact_put(store_txn_t *txn, const bucket_artifact_t *artifact);
