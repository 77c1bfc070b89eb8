// fake_broker.h - a broker of a few hundred lines for tests: same loop, journal in memory, and
// faults on demand. It speaks docs/protocol.md on real sockets, and loses, refuses or dies when it
// is told to.
#pragma once
#include "runtime/client.h"
#include "runtime/loop.h"

typedef struct fake_broker fake_broker_t;

enum { FAKE_TEXT_SIZE = 300, FAKE_RECORDS_MAX = 20000 };

typedef struct {
    char topic[FAKE_TEXT_SIZE];
    char id[FAKE_TEXT_SIZE];
    char source[FAKE_TEXT_SIZE];
    char pstream[FAKE_TEXT_SIZE];
    uint64_t seq, at, pseq, cause_seq, cause_n;
    bus_view_t header, body; // owned by the broker
} fake_record_t;

// Chances in 1,000, and what is still to be done on purpose.
typedef struct {
    unsigned lose_in;   // a message never arrives
    unsigned lose_ack;  // it was taken, its ack is lost
    unsigned busy;      // BUSY
    unsigned full;      // JOURNAL_FULL
    unsigned lose_next; // so many messages, for sure
    unsigned busy_next;
    unsigned full_next;
    unsigned lose_acks_next;
    unsigned refuse_next; // UNAUTHORIZED_ACCESS
    bool mute_replies;    // inbox messages of peers are not passed on
    bool mute_welcomes;   // nobody is welcomed
} fake_faults_t;

fake_broker_t *fake_broker_new(loop_t *loop, unsigned seed);
void fake_broker_destroy(fake_broker_t **self_p);
const char *fake_broker_ingress(const fake_broker_t *self);
const char *fake_broker_egress(const fake_broker_t *self);
fake_faults_t *fake_broker_faults(fake_broker_t *self);

// Dies: what is on its way is lost, the journal stays. And comes back.
void fake_broker_stop(fake_broker_t *self);
void fake_broker_start(fake_broker_t *self);
// Ends faults.mute_welcomes, and welcomes whom it kept waiting.
void fake_broker_welcome(fake_broker_t *self);
// Another journal, with another epoch.
void fake_broker_replace_journal(fake_broker_t *self);
// Forgets every stream but the empty ones.
void fake_broker_forget_streams(fake_broker_t *self);

size_t fake_broker_count(const fake_broker_t *self);
const fake_record_t *fake_broker_record(const fake_broker_t *self, size_t index);
// How many journaled records have this topic.
size_t fake_broker_count_topic(const fake_broker_t *self, const char *topic);
// How many welcomes, fetches and refusals went out, and messages came in.
typedef struct {
    unsigned welcomes, fetches, refusals, in, hellos, byes, duplicates;
} fake_counts_t;
const fake_counts_t *fake_broker_counts(const fake_broker_t *self);
// The `ack` of the last fetch.
uint64_t fake_broker_last_ack(const fake_broker_t *self);
// The `from` of the last fetch.
uint64_t fake_broker_last_from(const fake_broker_t *self);

// Journals a record as if a peer had published it. `header`: without the broker's keys. `at` 0:
// now.
uint64_t fake_broker_append(
    fake_broker_t *self, const char *topic, const header_t *header, bus_view_t body, uint64_t at);
// Publishes as it is.
void fake_broker_publish(fake_broker_t *self,
                         const char *topic,
                         const header_t *header,
                         bus_view_t body);

// Runs the loop until `is_done` says so. False after `timeout_ms`.
typedef bool(fake_done_fn)(void *arg);
bool fake_run(loop_t *loop, fake_done_fn *is_done, void *arg, unsigned timeout_ms);
// Runs the loop for so long: for what must not happen.
void fake_run_for(loop_t *loop, unsigned ms);
