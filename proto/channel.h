// channel.h - Bucket's four input channels: their names, and one check of their requests for every
// door. docs/contract.md section 3; the schemas are in schema/bucket.def. Pure.
#pragma once
#include "schema.h"

typedef enum {
    CHANNEL_ARTIFACT_WRITE,
    CHANNEL_ARTIFACT_READ,
    CHANNEL_METADATA_QUERY,
    CHANNEL_AUDIT_APPEND,
    CHANNEL_COUNT // also: none
} channel_t;

// "artifact_write" and "bucket.artifact_write".
const char *channel_name(channel_t channel);
const char *channel_topic(channel_t channel);
// The channel that a request to one door names: `channel`, else `action` (write_artifact,
// read_artifact, query_metadata, append_audit and the channels' own names). CHANNEL_COUNT: none.
channel_t channel_of(bus_view_t body);

typedef enum {
    CHANNEL_AI_ASSISTANT,
    CHANNEL_AI_AVATAR,
    CHANNEL_GURUKUL,
    CHANNEL_ENFORCEMENT,
    CHANNEL_PRODUCT_COUNT
} channel_product_t;
const char *channel_product_name(channel_product_t product);
// CHANNEL_PRODUCT_COUNT: none.
channel_product_t channel_product(bus_view_t name);

enum {
    CHANNEL_TAGS_MAX = 32,             // tags of an artifact or a filter
    CHANNEL_TAG_SIZE_MAX = 128,        // bytes of one
    CHANNEL_RETENTION_DAYS = 90,       // where none is given
    CHANNEL_RETENTION_DAYS_MAX = 2555, // seven years
    CHANNEL_LIMIT = 100,
    CHANNEL_LIMIT_MAX = 1000,
};

typedef struct {
    bus_view_t artifact_id; // 1 to 255 bytes, UTF-8 without control characters
    bus_view_t content;     // one whole msgpack map
    bus_view_t metadata;    // the same, as it came
    channel_product_t product;
    bus_view_t created_by;
    uint64_t retention_days;
    uint32_t tag_count;
    bus_view_t tags[CHANNEL_TAGS_MAX]; // each once, in their order
} channel_write_t;

typedef struct {
    bus_view_t artifact_id;
    channel_product_t product;
} channel_read_t;

typedef struct {
    channel_product_t product;
    uint64_t created_after;  // microseconds; 0: none. Exclusive
    uint64_t created_before; // UINT64_MAX: none. Exclusive
    uint32_t limit;
    bus_view_t cursor; // as it was answered; absent: the first page
    uint32_t tag_count;
    bus_view_t tags[CHANNEL_TAGS_MAX];
} channel_query_t;

typedef struct {
    bus_view_t event_type; // read, write, query, error, escalation
    channel_product_t product;
    bus_view_t details;  // one whole msgpack map
    bus_view_t severity; // INFO, WARNING, ERROR, CRITICAL
} channel_append_t;

// Each checks everything: types, sizes, words, dates, tags. BUS_VALIDATION_FAILED with every
// problem. A wrong product is a problem of field `product` (`metadata.product`).
BUS_CHECK bus_err_t channel_decode_write(bus_view_t body,
                                         channel_write_t *ret,
                                         schema_problems_t *reterr_problems);
BUS_CHECK bus_err_t channel_decode_read(bus_view_t body,
                                        channel_read_t *ret,
                                        schema_problems_t *reterr_problems);
BUS_CHECK bus_err_t channel_decode_query(bus_view_t body,
                                         channel_query_t *ret,
                                         schema_problems_t *reterr_problems);
BUS_CHECK bus_err_t channel_decode_append(bus_view_t body,
                                          channel_append_t *ret,
                                          schema_problems_t *reterr_problems);
// The tags of metadata that passed channel_decode_write: each once, in their order. Returns how
// many.
uint32_t channel_tags(bus_view_t metadata, bus_view_t ret_tags[CHANNEL_TAGS_MAX]);
// The same for any of them, for who only wants to know.
BUS_CHECK bus_err_t channel_check(channel_t channel,
                                  bus_view_t body,
                                  schema_problems_t *reterr_problems);
// Who asks: `requester_id`, else `metadata.created_by`, else "anonymous". At most 64 bytes of it.
bus_view_t channel_requester(bus_view_t body);
