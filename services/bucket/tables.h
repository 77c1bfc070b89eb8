// tables.h - Bucket's tables on disk, and what the service keeps in memory of them.
//
// Owner: the service's thread. What is in memory of the totals, the tree and the sums is a cache of
// records; each is written through in the transaction that changes it and read again when a batch
// was undone.
#pragma once
#include "proto/auto.h"
#include "proto/channel.h"
#include "proto/merkle.h"
#include "proto/pack.h"
#include "runtime/store.h"

typedef enum {
    BUCKET_EVENTS,      // seq -> the stored event, flat msgpack as it is answered
    BUCKET_INDEX,       // kind, size, value, number big-endian -> nothing (index.h)
    BUCKET_COUNTS,      // kind, size, value -> how many rows
    BUCKET_AGENTS,      // agent_id -> {count, last, types}
    BUCKET_TOTALS,      // "totals", "config" and other single records
    BUCKET_ARTIFACTS,   // seq -> what is known of an artifact, and its metadata (artifact.h)
    BUCKET_CONTENTS,    // seq -> an artifact's content, as it came
    BUCKET_IDS,         // product, SHA-256 of artifact_id -> seq; stays when the artifact goes
    BUCKET_EXPIRIES,    // retention_until big-endian, seq big-endian -> nothing
    BUCKET_QUOTAS,      // product -> {bytes, artifacts, warned}
    BUCKET_AUDIT,       // leaf index -> the entry: the leaf's bytes (audit.h)
    BUCKET_NODES,       // level << 58 | index -> a node's hash
    BUCKET_AUDIT_SEQS,  // seq -> its first leaf index
    BUCKET_VIOLATIONS,  // seq -> {at, requester_id, violation_type, ...} (governance.h)
    BUCKET_THREATS,     // threat -> {blocked, last}
    BUCKET_WINDOWS,     // requester_id -> when its last escalation was said
    BUCKET_PACKETS,     // seq -> a PRANA packet
    BUCKET_PEOPLE,      // user_id -> what a person's packets sum to (prana.h)
    BUCKET_PUBLIC_KEYS, // key_id -> {name, public_key, created_at, retired_at}
    BUCKET_SIGNATURES,  // signature_id -> {data_hash, key_id, signature, created_at, verified}
    BUCKET_SECRETS,     // key_id -> the secret key, encrypted; not part of the state
    BUCKET_USES,        // key_id -> how often it signed; not part of the state
    BUCKET_TABLE_COUNT
} bucket_table_t;

extern const store_table_t bucket_tables[BUCKET_TABLE_COUNT];

typedef struct {
    uint64_t events;     // stored
    uint64_t agents;     // with a context
    uint64_t refused;    // refusals recorded
    uint64_t forwarded;  // said to Karma
    uint64_t skipped;    // stored while the forwarding was off
    uint64_t direct;     // told to Karma by their tellers
    uint64_t failed;     // could not be said: too large
    uint64_t forwarding; // 1: on
    uint64_t artifacts;  // kept now
    uint64_t removed;    // by retention or the owner
    uint64_t packets;    // of PRANA
    uint64_t violations; // recorded
    uint64_t damaged;    // records that failed their check when they were read
    uint64_t held_since; // sweeps wait for the owner since this time; 0: they go on
    uint64_t owner_at;   // signed_at of the owner's last command
    uint64_t full_since; // artifacts are refused since this time: no room in the store; 0: there is
} bucket_totals_t;

// The audit tree as of the open transaction.
typedef struct {
    uint64_t size;                          // leaves
    merkle_hash_t lefts[MERKLE_LEVELS_MAX]; // complete subtrees, for each set bit of size
    uint64_t seq;                           // of the record that added an entry last
    uint32_t entries;                       // that it added
} bucket_tree_t;

typedef struct bucket_keys bucket_keys_t;

typedef struct {
    bucket_totals_t totals;
    bucket_tree_t tree;
    bucket_keys_t *keys; // keys.c's
    uint64_t swept_at;   // journal's time when the tick said the last sweep; 0: not since the start
    uint64_t due;        // commands and events taken since the start: all are to be audited
    uint64_t audited;    // of them, with an entry
    pack_t *scratch;     // one entry or record being made; whoever uses it clears it first
} bucket_state_t;

// Reads the totals; those of a fresh store have the forwarding on. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t bucket_tables_load(store_txn_t *txn, bucket_totals_t *ret_totals);
// Writes them. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t bucket_tables_save(store_txn_t *txn, const bucket_totals_t *totals);
