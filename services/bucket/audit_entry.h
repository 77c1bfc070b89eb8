// audit_entry.h - an audit entry as bytes: how it is packed, and what is read back of it.
//
// The bytes are the leaf of the tree, so their form is fixed for ever: the keys of audit.h in that
// order, smallest encodings, content_hash as 64 hex digits.
#pragma once
#include "audit.h"

enum {
    BUCKET_AUDIT_HEX_SIZE = 2 * MERKLE_HASH_SIZE + 1, // of a hash as hex, with its NUL
};

// Packs the entry behind what `out` holds. `audit_id` is its place's.
void bucket_audit_entry_pack(const service_apply_t *apply,
                             const bucket_audit_t *entry,
                             const char *audit_id,
                             pack_t *out);

// "INFO" unless the entry says otherwise, or is a refusal: "WARNING".
const char *bucket_audit_entry_severity(const bucket_audit_t *entry);

void bucket_audit_entry_hex(const merkle_hash_t *hash, char ret_hex[BUCKET_AUDIT_HEX_SIZE]);

// What is read of a stored entry; views into it, absent where it has no such key.
typedef struct {
    uint64_t seq;
    uint64_t at; // microseconds
    bus_view_t audit_id;
    bus_view_t event_type;
    bus_view_t operation;
    bus_view_t product;
    bus_view_t requester_id;
    bus_view_t trace_id;
    bus_view_t decision;
    bus_view_t severity;
    bus_view_t subject;
    bus_view_t content_hash;
    bus_view_t details; // whole msgpack
} bucket_audit_entry_t;

// BUS_CORRUPT where it is no entry.
BUS_CHECK bus_err_t bucket_audit_entry_read(bus_view_t leaf, bucket_audit_entry_t *ret_entry);

// What an audit_id names. BUS_VALIDATION_FAILED where it is none, or not in its one form.
BUS_CHECK bus_err_t bucket_audit_entry_parse(bus_view_t audit_id, uint64_t *ret_seq, uint64_t *ret);
