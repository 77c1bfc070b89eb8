// service.h - the harness that every service runs in: a reducer over the journal.
//
// It fetches the journal from the cursor in its own store, applies each record inside one write
// transaction that also stores the cursor, commits, and only then answers and sends the outbox. So
// a crash at any moment is silence, and after it the same records are applied again onto the state
// before them: exactly once, with no code for it in the service. A service is two tables, of what
// it applies and what it answers; it never sees a socket, a clock or an LMDB handle.
//
// `apply` is a function of the journal alone: its time is record->header.at, its ids come from
// header.seq; no randomness, no I/O. A record it cannot take is counted, answered with the error
// and skipped. It checks everything before its first write; after one it may fail only with what
// the store returned (BUS_FULL, BUS_IO, BUS_CORRUPT), which undoes the whole batch and is tried
// again.
#pragma once
#include "client.h"
#include "loop.h"
#include "proto/auto.h"
#include "proto/pack.h"
#include "proto/schema.h"
#include "store.h"

typedef struct service service_t;

// One record being applied. Views die with the call.
typedef struct {
    service_t *service; // for service_say and service_refuse
    void *state;        // the service's own, from definition.open
    store_txn_t *txn;   // the write transaction
    const header_t *header;
    bus_view_t topic;
    bus_view_t body;
    pack_t *answer; // what the reply's body is to be: one map (nothing written: {})
} service_apply_t;

typedef struct {
    const char *prefix; // the topics it takes; the longest that fits wins
    const schema_t
        *schema;  // decoded before `apply`; a body that fails is refused with its problems
    bool replies; // a command: its owner's reply goes to reply_to and is kept for 24 h
    bus_err_t (*apply)(service_apply_t *self, const void *message);
    const char *meaning;
    bool event; // with `replies`: replied to, and kept, only where an Idempotency-Key came with it
} service_apply_row_t;

// One question. `txn` is a read transaction.
typedef struct {
    service_t *service;
    void *state;
    store_txn_t *txn;
    const header_t *header;
    bus_view_t topic;
    bus_view_t body;
    pack_t *answer;
} service_query_t;

typedef struct {
    const char *operation;  // the last tokens of req.<service>.<operation>
    const schema_t *schema; // NULL: the body is not looked at
    bus_err_t (*query)(service_query_t *self, const void *message);
    const char *meaning;
} service_query_row_t;

typedef struct {
    const char *name;            // "bucket": the store's folder, the consumer, req.<name>.*
    const char *source;          // "bhiv_bucket": the header's source
    unsigned rules_version;      // raised when `apply` changes what it makes of the same journal
    const store_table_t *tables; // the service's own; the harness adds its behind them
    size_t table_count;
    const service_apply_row_t *applies;
    size_t apply_count;
    const service_query_row_t *queries;
    size_t query_count;
    // Makes the service's in-memory state from its store (caches, checked tables), or NULL.
    bus_err_t (*open)(store_txn_t *txn, void **ret_state);
    void (*close)(void **state_p);
    // After a batch was undone: throw away what was cached from it. May be NULL.
    void (*undone)(void *state, store_txn_t *txn);
    // Packs the configuration that `apply` reads, as one map (from flags and environment, at
    // start). The harness journals it as <name>.config when it differs from what was applied last;
    // `apply` sees it there, and only there. May be NULL.
    void (*config)(pack_t *out);
    // Adds pairs to the open map of req.<name>.health; returns how many. May be NULL.
    unsigned (*health)(void *state, store_txn_t *txn, pack_t *out);
} service_definition_t;

typedef struct {
    const char *dir; // the system's folder; the store is <dir>/<name>
    const char *ingress;
    const char *egress;
    uint64_t store_bytes; // the map's size; 0: the default
} service_options_t;

// Runs the service until SIGTERM or SIGINT. Prints `ready <name>` on stdout when it has its store
// and has caught up with the head of the journal as of its first welcome, or, without a broker,
// once the store is open and 200 ms went by (it is useful then, and says so in its health). Returns
// the process's exit status (0; 74 I/O; 75 store locked; 78 epoch changed).
int service_run(const service_definition_t *definition, const service_options_t *options);

// --- For tools that look into a store from outside ----------------------------------------------

#define SERVICE_META_TABLE "harness_meta" // every service's store has it

// The seq that the service reads next; `meta` is that table's place in the open store.
// BUS_NOT_FOUND where it never read, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t service_store_cursor(store_txn_t *txn, unsigned meta, uint64_t *ret_cursor);

// --- For `apply` --------------------------------------------------------------------------------

// Refuses: sets what the answer says. `details`: whole msgpack, or absent. Returns `err`, so that
// `return service_refuse (...)` reads well.
bus_err_t
service_refuse(service_apply_t *self, bus_err_t err, const char *message, bus_view_t details);
// Says something in consequence: journaled by the broker exactly once, after this commit, with this
// record as its cause and its trace_id. BUS_FULL, BUS_IO, BUS_PAYLOAD_TOO_LARGE.
BUS_CHECK bus_err_t service_say(service_apply_t *self, const char *topic, bus_view_t body);
// Publishes a live message after the commit; only for records younger than 5 s, never in a rebuild.
void service_tell(service_apply_t *self, const char *topic, bus_view_t body);

// --- For `query` --------------------------------------------------------------------------------

bus_err_t
service_query_refuse(service_query_t *self, bus_err_t err, const char *message, bus_view_t details);

// What the harness answers by itself, for every service:
//   req.<name>.health      {status, service, version, uptime_seconds, cursor, head, lag, applied,
//                           refused, outbox, rules_version, storage: {bytes, quota}, + the
//                           service's}
//   req.<name>.state_hash  {state_hash, cursor, rules_version}
//   req.<name>.queue       {seq} -> {seq, state: queued|applied|refused, result?}
