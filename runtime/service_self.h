// service_self.h - what the harness is made of, for its .c files alone; the loop's thread.
//
// service.c has its life and what `apply` calls; service_store.c the harness's own tables;
// service_apply.c the records; service_read.c the fetches and batches; service_outbox.c what is
// said in consequence; service_query.c the questions, service_held.c the replies to them that wait;
// service_tick.c what is due; service_config.c the journaled configuration; service_rebuild.c the
// life of a process that only rebuilds.
#pragma once
#include "identity.h"
#include "proto/limits.h"
#include "service.h"
#include <openssl/evp.h>

enum {
    SERVICE_ID_KEY_MAX = 2 * ID_SIZE_MAX + 1, // size of id, id, source
    SERVICE_HASH_SIZE = 32,                   // SHA-256
    SERVICE_YOUNG_US = 5000000,               // whoever asked for older records has gone
};

// Ids, idempotency keys and answers are kept this long, by the journal's time.
#define SERVICE_KEEP_US (24ULL * 3600 * 1000 * 1000)

// Where the harness stands in the journal: one record of its meta table, written with each batch.
typedef struct {
    uint64_t cursor;   // the seq to read next; everything below was applied
    uint64_t at;       // of the last record that was read
    uint64_t pseq;     // the last number given in the outbox
    uint64_t skip_seq; // what was said for causes up to here is in the journal already:
    uint64_t skip_n;   //   the outbox of a store that was lost
    uint64_t applied;
    uint64_t refused;
    uint64_t duplicates;
} service_place_t;

// An answer as it is kept, and sent after the commit. Views into the store or a scratch pack.
typedef struct {
    bus_err_t err;
    bus_view_t body;
} service_answer_t;

// The record in hand.
typedef struct {
    const client_heard_t *record;
    const service_apply_row_t *row;
    uint64_t said;       // messages said because of it so far
    const char *message; // of a refusal, copied into `text`; NULL: the error's meaning
    char text[256];      // cut there: it is for a person
    bool has_details;    // `details` is set
    bool is_young;       // answers and live messages go out
    bool is_deferred;    // a later record, or service_question_answer, answers it
    bool has_trace;      // what is said carries `trace_id`, not the record's
    bus_view_t trace_id;
    bus_err_t store_err; // what service_say could not write; BUS_OK
} service_hand_t;

// The outbox on its way.
typedef struct {
    uint64_t acked;   // durable in the journal up to here
    uint64_t next;    // to send next
    uint64_t deleted; // and gone from the store up to here
    uint64_t gap;     // went back to this already; 0: no
    uint64_t pause_until_ms;
    uint64_t progress_ms;
    client_outbox_t where; // what the last hello was answered
    bool is_stuck;         // refused for what it is: said in the health
    int timer;             // 0: nothing is on its way
} service_outbox_t;

// A name that questions are asked by, and the client that hears them.
typedef struct {
    service_t *service;
    client_t *client; // NULL: there is no such name
    const char *name;
    const service_query_row_t *rows;
    size_t row_count;
    bool is_known; // to the broker: its hello was answered
} service_ear_t;

typedef struct service_held service_held_t; // a reply that waits for what its question said

// What waits for the broker's word about facts that questions and ticks had published.
typedef struct {
    service_held_t *open; // of the question in hand; NULL: it has said nothing
    size_t count;         // replies held
    size_t bytes;         // of their bodies
} service_holding_t;

// Questions that are answered later: a list.
typedef struct {
    service_question_t *first;
    size_t count;
} service_questions_t;

// What is due.
typedef struct {
    bool is_due;
    bool is_asked;    // it runs
    unsigned missing; // facts of the last tick that the broker has not answered for
    uint64_t said;    // the highest seq of those that it has journaled
} service_tick_t;

struct service {
    const service_definition_t *definition;
    const service_options_t *options;
    loop_t *loop;
    client_t *client;    // the service's own name's: everything but the alias's questions
    service_ear_t ear;   // of its own name
    service_ear_t alias; // of the second
    store_t *store;
    store_table_t *tables; // the definition's, then the harness's
    char *path;            // of the store
    char *consumer;        // as the broker knows who reads
    void *state;           // the service's own
    int status;            // the process's exit status
    uint64_t start_ms;     // boot clock
    uint64_t connected_ms; // of a rebuild: when there was a broker last

    service_place_t place;       // as of the open transaction
    service_place_t committed;   // as of the last commit
    uint64_t durable;            // cursor that a power cut cannot take back
    char epoch[ID_SIZE_MAX + 1]; // of the journal that the store belongs to; "": none yet
    const char *filters[CLIENT_FILTERS_MAX];
    size_t filter_count;
    uint64_t fetch_from;        // of the fetch in flight
    char boot[ID_SIZE_MAX + 1]; // of the broker that we are connected to
    uint64_t live_after;        // its head then: what came later was journaled before our eyes
    int64_t ahead_us;           // its clock less our boot clock, by what came since
    bool knows_ahead;
    uint64_t goal;     // the head that is to be caught up with before `ready`
    bool knows_goal;   // the first welcome came
    bool knows_outbox; // the first hello was answered: records may be applied
    bool is_current;   // the last page, or welcome, told of nothing more to read
    bool is_settled;   // has caught up since it started, its configuration applied
    bool is_started;   // definition->start did its work
    bool is_ready;     // said on stdout
    bool is_failing;   // the last batch was undone: tried again in a second
    bool is_pausing;   // lets more records come together before it asks for the next page
    bool is_awaited;   // somebody waits for an answer to a record of the page in hand
    bool needs_sync;   // committed since the last flush
    bool is_draining;  // told to stop, and waits for what it began
    uint64_t drain_until_ms;

    service_hand_t hand;
    void *message;   // of the largest schema
    pack_t *answer;  // apply's or a query's
    pack_t *details; // of a refusal
    pack_t *body;    // an error's body, scratch
    pack_t *value;   // one record of a table, scratch
    pack_t *effects; // what leaves after the commit: a row of arrays
    uint32_t effect_count;
    EVP_MD *sha256; // fetched once
    EVP_MD_CTX *digest;

    service_outbox_t outbox;
    service_holding_t holding;
    service_tick_t tick;
    service_questions_t questions;
    const service_ear_t *hearing; // of the question in hand
    char *config_filter;          // <name>.config
    unsigned housekeepings;       // so far
    uint64_t refusals_logged_ms;  // when refused records were reported last
    uint64_t refusals_unlogged;   // since then
    uint8_t *config;              // what is to be journaled; NULL: nothing
    size_t config_size;
    bool config_is_sent;
    identity_t identity; // of this process
};

// --- service_store.c
bus_err_t service_store_open(service_t *self);
void service_store_close(service_t *self);
// Writes the place. The transaction's last write.
bus_err_t service_store_put_place(service_t *self, store_txn_t *txn);
bus_err_t service_store_put_epoch(service_t *self, store_txn_t *txn, bus_view_t epoch);
bus_err_t service_store_config(store_txn_t *txn, const service_t *self, bus_view_t *ret_config);
bus_err_t service_store_put_config(service_t *self, store_txn_t *txn, bus_view_t config);
// The seq under which this id was applied within 24 h before `at`. BUS_NOT_FOUND.
bus_err_t
service_store_find_id(service_t *self, store_txn_t *txn, const header_t *header, uint64_t *ret_seq);
// The same for its idempotency key; BUS_IDEMPOTENCY_KEY_REUSED where it came with something else.
bus_err_t service_store_find_idem(service_t *self,
                                  store_txn_t *txn,
                                  const client_heard_t *record,
                                  uint64_t *ret_seq);
// Remembers that the record was taken. `has_answer`: an answer is kept under its seq.
bus_err_t service_store_remember(service_t *self,
                                 store_txn_t *txn,
                                 const client_heard_t *record,
                                 bool has_idem);
bus_err_t service_store_put_answer(service_t *self,
                                   store_txn_t *txn,
                                   uint64_t seq,
                                   bus_view_t topic,
                                   const service_answer_t *answer);
// Its answer is the one of record `original`.
bus_err_t
service_store_put_alias(service_t *self, store_txn_t *txn, uint64_t seq, uint64_t original);
// Who waits for the answer to command `seq`: an array of [reply_to, id, trace_id | nil], whole
// msgpack. BUS_NOT_FOUND where it is not deferred.
bus_err_t service_store_find_waiting(const service_t *self,
                                     store_txn_t *txn,
                                     uint64_t seq,
                                     bus_view_t *ret_waiting);
bus_err_t service_store_put_waiting(const service_t *self,
                                    store_txn_t *txn,
                                    uint64_t seq,
                                    bus_view_t waiting);
bus_err_t service_store_del_waiting(const service_t *self, store_txn_t *txn, uint64_t seq);
// BUS_NOT_FOUND where none is kept.
bus_err_t service_store_find_answer(const service_t *self,
                                    store_txn_t *txn,
                                    uint64_t seq,
                                    service_answer_t *ret_answer);
// Forgets what is older than 24 h before place.at: at most `count_max` records.
bus_err_t service_store_expire(service_t *self, store_txn_t *txn, unsigned count_max);
// The tables' places.
unsigned service_store_outbox_table(const service_t *self);

// --- service_apply.c
// Applies one record. An error is the store's: the batch is to be undone.
bus_err_t service_apply_record(service_t *self, store_txn_t *txn, const client_heard_t *record);
// Sends what the batch's records made, after its commit; and forgets it.
void service_apply_release(service_t *self);

// Keeps a reply to another record for after the commit.
void service_apply_reply(service_t *self, const header_t *asked, const service_answer_t *answer);
// Keeps a live message for after the commit.
void service_apply_tell(service_t *self, bus_view_t topic, bus_view_t body);
// The trace of what is said and told because of the record in hand.
bus_view_t service_apply_trace(const service_t *self);

// --- service_read.c
// Fetches, if it is time to.
void service_read_more(service_t *self);
void service_read_on_welcome(void *arg, const client_welcome_t *welcome);
// Undoes the open batch and tries again in a second: the store failed.
void service_read_fail(service_t *self, bus_err_t why);
// Says ready, once, if it is so.
void service_read_check_ready(service_t *self);
// Lets the service write what it counted outside the journal, and commits. The transaction is gone.
bus_err_t service_read_commit(service_t *self, store_txn_t **txn_p);

// --- service_outbox.c
// Adds to the outbox, within the batch; the number is the place's next.
bus_err_t service_outbox_put(service_t *self, store_txn_t *txn, bus_view_t topic, bus_view_t body);
// Moves the counter on to where the journal is, if the store is behind it.
void service_outbox_catch_up(service_t *self);
void service_outbox_on_hello(void *arg, const client_outbox_t *where);
void service_outbox_on_ack(void *arg, bus_err_t err, uint64_t pseq);
// Sends what may be sent.
void service_outbox_pump(service_t *self);
// Deletes what is durable in the journal.
bus_err_t service_outbox_sweep(service_t *self, store_txn_t *txn);

// --- service_query.c
// `arg`: the ear.
void service_query_on_request(void *arg, const client_heard_t *heard);

// --- service_held.c
// Publishes for the question in hand, asked by this header; its reply is held from here on.
bus_err_t
service_held_say(service_t *self, const header_t *asked, const char *topic, bus_view_t body);
// Replies, through the ear that heard it, at once or when what was said is durable.
void service_held_reply(service_ear_t *ear, const header_t *asked, bus_err_t err, bus_view_t body);

// --- service_tick.c
// Asks the service what is due, if it is time and the time is right.
void service_tick_look(service_t *self);
bus_err_t service_tick_say(service_t *self, const char *topic, bus_view_t body);

// --- service_act.c
// The record in hand was asked again, as `original`, which is deferred: its asker waits with it.
bus_err_t service_act_wait(service_t *self, store_txn_t *txn, uint64_t original);
// Lets the service act on what was committed, where the time is right.
void service_act_look(service_t *self);
// Answers what is open: the process stops.
void service_act_stop(service_t *self);

// --- service_rebuild.c
// Starts: the client, and what ends it.
bool service_rebuild_start(service_t *self);
// Says what came of it, and ends, where the goal is reached.
void service_rebuild_check(service_t *self);

// --- service_config.c
void service_config_make(service_t *self);
void service_config_clear(service_t *self);
// Whether records of <name>.config are ours, and this is one, or lies below it.
bool service_config_is(const service_t *self, bus_view_t topic);
// Whether such a record is our own word. Somebody else's is refused.
bool service_config_is_own(const service_t *self, const client_heard_t *record);
// Journals the configuration if what was applied last is another. True: nothing is left to do.
bool service_config_is_applied(service_t *self);

// --- service.c
// Ends the process with this status.
void service_stop(service_t *self, int status);
// Says that it is ready.
void service_ready(service_t *self);
// Keeps what a refusal says, for the record or the question in hand.
void service_refuse_with(service_t *self, const char *message, bus_view_t details);
