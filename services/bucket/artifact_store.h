// artifact_store.h - what an artifact is made of on disk: put there, found, taken away.
// Inner to artifact*.c and retention.c.
#pragma once
#include "artifact.h"

// The seq of the artifact of this id in this product, a removed one's too. BUS_ARTIFACT_NOT_FOUND,
// BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t bucket_artifact_store_seq(store_txn_t *txn,
                                              channel_product_t product,
                                              bus_view_t artifact_id,
                                              uint64_t *ret_seq);

// Whether the counters that adding or removing such an artifact changes can be read: what is
// damaged is to be found before the first write. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t bucket_artifact_store_check(store_txn_t *txn,
                                                channel_product_t product,
                                                const bus_view_t *tags,
                                                uint32_t tag_count);

// Adds the artifact under the record's seq: record, content, id, expiry, indexes, quota, totals.
// `artifact->seq` is the header's; its row's sizes are filled in. BUS_FULL, BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t bucket_artifact_store_add(service_apply_t *apply,
                                              bucket_artifact_t *artifact,
                                              const channel_write_t *write);

// Copies what its views point at into `buffer`, so that the store may be written.
void bucket_artifact_store_own(bucket_artifact_t *artifact, pack_t *buffer);

// Takes away all of an artifact that is there but its id and the tombstone that its record becomes;
// gives its quota back. `artifact` owns its bytes. BUS_FULL, BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t bucket_artifact_store_drop(service_apply_t *apply, bucket_artifact_t *artifact);

// The value of an artifact's rows in the index: the product's byte, and the tag behind it (absent:
// of BUCKET_INDEX_PRODUCT).
typedef struct {
    uint8_t bytes[1 + CHANNEL_TAG_SIZE_MAX];
} bucket_artifact_tag_t;
bus_view_t
bucket_artifact_store_tag(channel_product_t product, bus_view_t tag, bucket_artifact_tag_t *ret);

// The key of its row in BUCKET_EXPIRIES.
enum { BUCKET_ARTIFACT_EXPIRY_SIZE = 16 };
typedef struct {
    uint8_t bytes[BUCKET_ARTIFACT_EXPIRY_SIZE];
} bucket_artifact_expiry_t;
void bucket_artifact_store_expiry(uint64_t retention_until,
                                  uint64_t seq,
                                  bucket_artifact_expiry_t *ret_key);
void
bucket_artifact_store_expiry_read(bus_view_t key, uint64_t *ret_retention_until, uint64_t *ret_seq);
