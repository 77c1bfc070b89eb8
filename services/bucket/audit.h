// audit.h - the audit log: every operation and every refusal, in a Merkle tree, in the transaction
// of the operation itself.
//
// An entry is one msgpack map with these keys in this order, those that do not apply left out:
//   v (1), audit_id, seq, at (microseconds), event_type, operation, product, requester_id, source,
//   trace_id, decision (allowed | refused), rule, error_code, severity, subject, content_hash,
//   details
// content_hash is 64 hex digits; hashes of the tree are base64 wherever they are answered.
// Its bytes are the leaf. audit_id is audit_<seq> for the first entry that a record makes, then
// audit_<seq>.1 and so on. The tree is a function of the journal.
#pragma once
#include "runtime/service.h"
#include "tables.h"

// What happened. Views and texts are needed during the call alone.
typedef struct {
    const char *event_type;  // read, write, query, error, escalation, or governance, owner,
                             // retention, key
    const char *operation;   // "artifact_write": the topic's or channel's name
    bus_view_t product;      // absent: none
    bus_view_t requester_id; // absent: the header's source
    bool is_refused;
    const char *rule;                  // why: "unique_artifact_id"; NULL: "contract"
    bus_err_t err;                     // of a refusal
    const char *severity;              // NULL: INFO, or WARNING where it is refused
    bus_view_t subject;                // an artifact's, event's or key's id; absent: none
    const merkle_hash_t *content_hash; // SHA-256 of what it is about; NULL: none
    bus_view_t details;                // whole msgpack, or absent
} bucket_audit_t;

enum { BUCKET_AUDIT_ID_SIZE = 48 }; // of "audit_<seq>.<n>" and its NUL

// Where it stands.
typedef struct {
    char audit_id[BUCKET_AUDIT_ID_SIZE];
    uint64_t leaf_index;
    merkle_hash_t hash; // of the leaf
} bucket_audit_place_t;

// Adds an entry. `details` must not lie in state->scratch. BUS_FULL, BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t bucket_audit_add(service_apply_t *apply,
                                     const bucket_audit_t *entry,
                                     bucket_audit_place_t *ret_place);
// Adds decision, rule and audit_id to the open map of an answer: three pairs.
void
bucket_audit_answer(pack_t *out, const bucket_audit_t *entry, const bucket_audit_place_t *place);

// Reads the tree's edge into state->tree: at open, and after a batch was undone.
BUS_CHECK bus_err_t bucket_audit_load(store_txn_t *txn, bucket_tree_t *ret_tree);
// What is in memory may not be what is in the store: the next addition reads it first.
void bucket_audit_doubt(bucket_tree_t *tree);
// How many leaves the tree has, by the store.
BUS_CHECK bus_err_t bucket_audit_size(store_txn_t *txn, uint64_t *ret_size);

// The leaf index of an audit_id. BUS_AUDIT_ENTRY_NOT_FOUND.
BUS_CHECK bus_err_t bucket_audit_find(store_txn_t *txn, bus_view_t audit_id, uint64_t *ret_index);
// The leaf's bytes. BUS_AUDIT_ENTRY_NOT_FOUND where its body was let go after seven years.
BUS_CHECK bus_err_t bucket_audit_leaf(store_txn_t *txn, uint64_t index, bus_view_t *ret_leaf);
// A merkle_read_fn over the store; arg is the store_txn_t.
bus_err_t bucket_audit_node(void *arg, unsigned level, uint64_t index, merkle_hash_t *ret_hash);

// How many of the first entries' bodies were let go: the leaves [0, *ret_count).
BUS_CHECK bus_err_t bucket_audit_forgotten(store_txn_t *txn, uint64_t *ret_count);

// Applies bucket.audit_append.
BUS_CHECK bus_err_t bucket_audit_append(service_apply_t *apply, const void *message);
// Whether an entry is older than seven years at `now`, and has its body yet.
bool bucket_audit_is_due(store_txn_t *txn, uint64_t now);
// Lets go of the bodies of entries older than seven years before the record's time: at most
// `count_max`, of which it adds an entry. Their hashes stay.
BUS_CHECK bus_err_t bucket_audit_forget(service_apply_t *apply, unsigned count_max);
