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
    // Changes nothing that a repeat would double: a read that is journaled to be audited, or a fact
    // whose repeat the service knows by what it says. Neither its id nor its answer is kept, so a
    // repeat is applied, and answered, anew; with an Idempotency-Key it is kept as any other.
    bool read;
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

// A second name that the process answers to: req.<name>.<operation>.
typedef struct {
    const char *name; // "crypto"; NULL: none
    const service_query_row_t *queries;
    size_t query_count;
} service_alias_t;

typedef struct service_options service_options_t;

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
    service_alias_t alias;
    // Makes the service's in-memory state from its store (caches, checked tables), or NULL. What it
    // writes is committed after it; only tables without `state` may be written.
    bus_err_t (*open)(const service_options_t *options, store_txn_t *txn, void **ret_state);
    void (*close)(void **state_p);
    // After a batch was undone: throw away what was cached from it. May be NULL.
    void (*undone)(void *state, store_txn_t *txn);
    // Called where the harness itself refused a record of the service's, before `apply` saw it: its
    // body breaks the row's schema, its Idempotency-Key came with another request, it is somebody
    // else's configuration. Within the batch's transaction; may write, say and pack an answer of
    // its own. Returns `err`, or what the store returned. May be NULL.
    bus_err_t (*refused)(service_apply_t *apply, bus_err_t err);
    // After each record that it took, applied or refused, within the batch's transaction: for
    // counting. May be NULL.
    void (*taken)(void *state, const header_t *header, const service_apply_row_t *row);
    // Once a second, when it has caught up with the journal and knows its outbox: what is due? In a
    // read transaction; query->header->at is the journal's time now, as near as it can be told
    // without asking. May call service_query_say. May be NULL.
    void (*tick)(service_query_t *query);
    // The journaled topic of `config`; NULL: <name>.config.
    const char *config_topic;
    // Others wait for what it says in consequence of records that nobody is answered (HTM: workers
    // for tasks): it reads on at once instead of letting records come together for its next page.
    bool prompt;
    // Before each commit, and once more before it stops: may write tables without `state` (counters
    // of what happened outside the journal). May be NULL.
    bus_err_t (*save)(void *state, store_txn_t *txn);
    // Packs the configuration that `apply` reads, as one map (from flags and environment, at
    // start). The harness journals it as <name>.config when it differs from what was applied last;
    // `apply` sees it there, and only there. May be NULL.
    void (*config)(const service_options_t *options, pack_t *out);
    // For a service that acts in the world (docs/architecture.md, "effects"). `start` is called
    // once when loop and client are there, before anything is heard; not in a rebuild. `stop`
    // before they go. `act` after each commit, in a read transaction, but only once the service has
    // caught up with the journal: it does what `apply` decided is to be done. All may be NULL.
    bus_err_t (*start)(service_t *service, void *state);
    void (*stop)(void *state);
    void (*act)(service_query_t *query);
    // After SIGTERM, and then a few times a second for SERVICE_DRAIN_MS at most, while there is a
    // broker: begins nothing more, and returns whether what it began is still under way. A second
    // signal ends it at once. May be NULL.
    bool (*drain)(void *state);
    // Adds pairs to the open map of req.<name>.health; returns how many. May be NULL.
    unsigned (*health)(void *state, store_txn_t *txn, pack_t *out);
    // The same for what a rebuild prints (a tree's root). May be NULL.
    unsigned (*rebuilt)(void *state, store_txn_t *txn, pack_t *out);
} service_definition_t;

enum { SERVICE_DRAIN_MS = 3000 }; // a part is out within 5 s of SIGTERM

struct service_options {
    const char *dir; // the system's folder; the store is <dir>/<name>
    const char *ingress;
    const char *egress;
    const cert_t *cert;   // see client.h; its name is the definition's source; NULL: plain
    uint64_t store_bytes; // the map's size; 0: the default
    unsigned alone_ms;    // without a broker it is ready after this; 0: 200
    bool rebuild;         // only rebuilds: see service_run
};

// Runs the service until SIGTERM or SIGINT. Prints `ready <name>` on stdout when it has its store
// and has caught up with the head of the journal as of its first welcome, or, without a broker,
// once the store is open and options->alone_ms went by (it is useful then, and says so in its
// health). Returns the process's exit status (0; 74 I/O; 75 store locked; 78 epoch changed, or
// `open` returned BUS_FORBIDDEN or BUS_VALIDATION_FAILED, having said why: what it was started with
// does not fit).
//
// With options->rebuild it reads the whole journal, up to its head as of the first welcome, into a
// new store <dir>/<name>.rebuild, beside a running instance: it answers no questions, sends no
// outbox, says and tells nothing. Then it prints one JSON object on stdout, {service, state_hash,
// cursor, rules_version, applied, refused, + the service's from `rebuilt`}, removes that store and
// returns 0; 69 where there is no broker within 5 s; 78 where the journal was trimmed.
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

// Of what is said and told from here on in this `apply`: it carries this trace instead of the
// record's own (absent: none). For a record that sets off what another's trace waited for. The view
// must live until `apply` returns.
void service_trace(service_apply_t *self, bus_view_t trace_id);

// Does not answer the command in hand now: a later record does, with service_answer. `apply`
// returns BUS_OK then, and packs nothing. The command shows as queued until then; repeats of it, by
// id or Idempotency-Key, wait with it. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t service_defer(service_apply_t *self);
// Answers the command that was deferred as record `seq`, and keeps the answer as its. Where that
// was none, only keeps it. BUS_FULL, BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t service_answer(service_apply_t *self,
                                   uint64_t seq,
                                   bus_err_t err,
                                   bus_view_t body);

// --- For `act`, and what it started -------------------------------------------------------------

// The process's loop, and its client, for questions to others and for facts: client_send with
// CLIENT_WANT_ACK is resent until it is durable or the process ends.
loop_t *service_loop(service_t *self);
client_t *service_client(service_t *self);
// This process's own name among all that ever ran: an effect is its, or nobody's any more.
const char *service_boot(const service_t *self);
// Has `tick` called as soon as it may be, instead of at the next second: for what is due earlier.
void service_tick_soon(service_t *self);
// Has `save` called and commits now, not with the next record: for what was learned outside the
// journal and is not to be learned again. Not within apply, query, act or tick. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t service_keep(service_t *self);
// Begins a read transaction, for what goes on after a question returned. The caller ends it before
// it returns to the loop. BUS_BUSY, BUS_IO.
BUS_CHECK bus_err_t service_begin_read(service_t *self, store_txn_t **ret_txn);

// --- For `query` --------------------------------------------------------------------------------

// Publishes a journaled fact in consequence of a question. In a question, its reply is held back
// until the fact is durable, and is the broker's error where it was refused: what was answered is
// in the journal. At most SERVICE_HELD_MAX replies are held; beyond it BUS_BUSY. In a tick nobody
// waits for it, and it may be lost with the process: say it again at the next tick.
BUS_CHECK bus_err_t service_query_say(service_query_t *self, const char *topic, bus_view_t body);
enum { SERVICE_HELD_MAX = 1024 };

// Does not answer the question now: whoever holds the result does, with service_question_answer.
// NULL where SERVICE_QUESTIONS_MAX are open; then answer BUS_BUSY. The query returns BUS_OK, and
// packs nothing. What is open when the process stops is answered BUS_ABORTED.
typedef struct service_question service_question_t;
service_question_t *service_query_defer(service_query_t *self);
// Answers it, and forgets it: NULL afterwards. `body`: whole msgpack; of an error, its whole body,
// or absent for the error's own words.
void service_question_answer(service_question_t **self_p, bus_err_t err, bus_view_t body);
enum { SERVICE_QUESTIONS_MAX = 4096 }; // each is a caller who waits for an agent

bus_err_t
service_query_refuse(service_query_t *self, bus_err_t err, const char *message, bus_view_t details);

// What the harness answers by itself, for every service:
//   req.<name>.health      {status, service, version, build, protocol, schemas (identity.h),
//                           uptime_seconds, cursor, head, lag, applied, refused, outbox,
//                           rules_version, storage: {bytes, quota}, + the service's}
//   req.<name>.state_hash  {state_hash, cursor, rules_version}
//   req.<name>.queue       {seq} -> {seq, state: queued|applied|refused, result?}
