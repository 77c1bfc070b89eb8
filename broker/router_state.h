// router_state.h - what the router's files share: ingress.c takes messages, control.c does what
// $bus.* asks, commit.c hands batches over and answers what came back, presence.c keeps the peers,
// warden.c knows who may what, refusal.c says no. Included by those and by router.c alone; one
// thread.
#pragma once
#include "answer.h"
#include "breach.h"
#include "committer.h"
#include "consumer.h"
#include "egress.h"
#include "gate.h"
#include "gather.h"
#include "group.h"
#include "journal.h"
#include "peer.h"
#include "proto/schema.h"
#include "reader.h"
#include "router.h"
#include "runtime/id.h"
#include "runtime/identity.h"
#include "stats.h"
#include "who.h"

typedef struct {
    char epoch[JOURNAL_EPOCH_SIZE]; // of the journal
    char boot[ID_TEXT_SIZE];        // of this run
    uint64_t started_ms;            // boot clock
    uint64_t first;                 // lowest seq kept
    uint64_t head;                  // last seq whose answers have left
    uint64_t at;                    // of the head
    uint64_t bytes;                 // of records in the journal
    identity_t identity;            // of this process
} router_position_t;

typedef struct {
    uint64_t count;     // refused since the last line
    uint64_t logged_ms; // boot clock of that line; 0: none yet
} router_refusals_t;

struct router {
    router_options_t options;
    gate_t *gate;
    egress_t *egress;
    answer_t *answer;
    gather_t *gather;
    group_t *group;
    peer_table_t *peers;
    consumer_table_t *consumers;
    committer_t *committer;
    void *committer_socket; // borrowed from it
    reader_t *reader;
    void *reader_socket; // borrowed from it
    pack_t *header;      // scratch: a header being made
    pack_t *body;        // scratch: a body being made
    stats_t stats;
    router_position_t position;
    router_refusals_t refusals;
    who_t *who;                  // NULL: an open bus
    breach_t *breach;            // likewise
    grant_log_t *grants;         // likewise
    char grant_id[ID_TEXT_SIZE]; // of the grant in commit; "": none
    bool is_load_failed;         // certificates and rules were not read the last time
    bool is_admission_due;       // ZAP was not given all that are known
    int certs_watch;             // inotify of the folder of certificates; -1: none
    int certs_timer;             // set: it is looked at soon
    uint64_t handshakes_told;    // of stats.handshakes_refused, to `breach`
    uint64_t told_head;          // the head that the reader knows of
    uint64_t commit_started;     // microseconds, boot clock, of the block in commit
    bool is_stopping;
    bool is_looking;      // at who does not read: a timer is set
    bool is_trim_pending; // a trim is in some block
};

// One message taken in. Its views point into its frames.
typedef struct {
    zmq_msg_t frames[3]; // topic, header, body
    bus_view_t topic;
    bus_view_t header_bytes;
    bus_view_t body;
    header_t header;
    topic_class_t class_;
    const who_peer_t *peer;     // by CURVE; NULL: trusted. `header.source` is its name
    bool is_renamed;            // header_bytes do not say that source
    char made_id[ID_TEXT_SIZE]; // where the peer gave none
} message_t;

// refusal.c: counts it, logs once in a while, answers where that is possible.
typedef struct {
    bus_err_t err;
    const char *why;    // a literal for the log and the answer, or NULL: the error's own meaning
    bus_view_t details; // whole msgpack, or absent
} refusal_t;
void refusal_send(router_t *self, const header_t *header, bool is_ack, const refusal_t *refusal);
void refusal_tick(router_t *self);

// ingress.c: reads a bounded number of messages.
void ingress_read(router_t *self);

// control.c: a message on a $bus. topic. It may take the frames.
void control_handle(router_t *self, message_t *message);
// Whether it checks the body of this topic itself.
bool control_checks_body(bus_view_t topic);
// Where a consumer stands, as the reader tells.
void control_hear_consumer(router_t *self, bus_view_t consumer, uint64_t next, uint64_t ack);
// Once a second: acks of consumers to the journal, and retention.
void control_trim(router_t *self); // asks for what retention lets go, unless that is under way
void control_tick(router_t *self);

// commit.c
void commit_flush(router_t *self); // hands the next block over, where none is in commit
void commit_read(router_t *self);  // takes blocks back
void commit_tell_reader(router_t *self);

// warden.c: what holds for peers that came by CURVE; all of it is BUS_OK for others. The refusals
// are counted and told there; *reterr_why is a literal.
//
// Finds who speaks, puts its name into message->header, and takes a reply_to away that is not its
// own. BUS_UNAUTHENTICATED, BUS_UNAUTHORIZED_ACCESS.
BUS_CHECK bus_err_t warden_admit(router_t *self, message_t *message, const char **reterr_why);
// BUS_UNAUTHORIZED_ACCESS: the topic; what hello or beat says of itself; somebody else's instance;
// somebody else's consumer; what a fetch reads.
BUS_CHECK bus_err_t warden_may_say(router_t *self,
                                   const message_t *message,
                                   const char **reterr_why);
BUS_CHECK bus_err_t warden_may_serve(router_t *self,
                                     const message_t *message,
                                     const schema_hello_t *hello,
                                     const char **reterr_why);
BUS_CHECK bus_err_t warden_is_own_instance(router_t *self,
                                           const message_t *message,
                                           bus_view_t instance,
                                           const char **reterr_why);
BUS_CHECK bus_err_t warden_may_consume(router_t *self,
                                       const message_t *message,
                                       bus_view_t consumer,
                                       bool is_kept, // see access_may_consume
                                       const char **reterr_why);
BUS_CHECK bus_err_t warden_may_fetch(router_t *self,
                                     const message_t *message,
                                     const char **reterr_why);
// What the messages of a batch claimed of themselves is counted.
void warden_count_claims(router_t *self, const message_t *message, const group_claims_t *claims);
// Counts one breach, and says it once a minute.
void warden_breach(router_t *self, const char *name, breach_reason_t reason, bus_view_t subject);
// An egress_breach_fn.
void warden_on_subscription(void *arg,
                            const who_peer_t *peer,
                            breach_reason_t reason,
                            bus_view_t prefix);
// What the gate counted of handshakes that were refused.
void warden_count_handshakes(router_t *self);
// Lets in those who are known, from before anything is bound, and whoever gets a certificate from
// then on. BUS_FORBIDDEN, said, where access.zpl or the certificates are wrong.
BUS_CHECK bus_err_t warden_open(router_t *self);
void warden_close(router_t *self);
// Reads certificates again, and `with_rules` what SIGHUP says is finished: the rules.
void warden_load(router_t *self, bool with_rules);
// A record came back: where it is the grant that was in commit, the next one follows; one that was
// not journaled is tried again at the tick.
void warden_committed(router_t *self, const batch_item_t *item);
// Journals what is due, or all of it.
void warden_tell(router_t *self, bool is_last);
void warden_tick(router_t *self);
// Adds the pair "access" to an open map: not on an open bus.
void warden_pack(const router_t *self, pack_t *out);

// presence.c
BUS_CHECK bus_err_t presence_take(router_t *self,
                                  const message_t *message,
                                  const schema_hello_t *hello,
                                  const char **reterr_why);
void presence_leave(router_t *self, bus_view_t instance);
void presence_tick(router_t *self);
