// quota.h - how much each product may keep, and does. Exact: a function of what is kept.
//
// What counts is an artifact's content and its metadata, in bytes of msgpack, as they came.
#pragma once
#include "runtime/service.h"
#include "tables.h"

typedef struct {
    uint64_t used;      // bytes
    uint64_t artifacts; // that they are in
    uint64_t quota;     // bytes that it may keep, by the configuration in force
    bool is_warned;     // 90 % was passed upwards, and said
} bucket_quota_use_t;
// BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t bucket_quota_get(store_txn_t *txn,
                                     channel_product_t product,
                                     bucket_quota_use_t *ret_use);

// Whether `bytes` more fit. BUS_QUOTA_EXCEEDED.
BUS_CHECK bus_err_t bucket_quota_check(store_txn_t *txn, channel_product_t product, uint64_t bytes);
// Counts one artifact in, or out; warns once when 90 % is passed upwards.
BUS_CHECK bus_err_t bucket_quota_add(service_apply_t *apply,
                                     channel_product_t product,
                                     uint64_t bytes);
BUS_CHECK bus_err_t bucket_quota_remove(service_apply_t *apply,
                                        channel_product_t product,
                                        uint64_t bytes);
// req.bucket.quota -> {product, used_bytes, quota_bytes, artifacts, used_share, status: healthy |
// warning | full}, or {products: […], total: {used_bytes, quota_bytes, artifacts}}.
bus_err_t bucket_quota_query(service_query_t *query, const void *message);
