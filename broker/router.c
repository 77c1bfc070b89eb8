// router.c - the sockets in the loop, and who is called when.
//
// One turn, in the order in which the sockets stand in the loop: what came in is checked and
// gathered; the committer gets the next block if it is idle; a block that came back is answered and
// published; pages of the journal go out; subscriptions are taken. Each has a bound, so none
// starves another, and nothing here waits: not for the disk, not for a slow subscriber.
#include "router.h"
#include "clog.h"
#include "proto/walk.h"
#include "router_state.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "worker.h"
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 1000,
    PAGES_MAX = 64, // messages of the reader in one turn, up to 4 MiB each
};

// --- From the threads ---------------------------------------------------------------------------

// A fetch that the reader refused counts like every other refusal.
static void
count_refused(router_t *self, bus_view_t header_bytes, bus_view_t body)
{
    header_t header;
    bus_view_t value;
    bus_view_t code;
    const char *why;
    bool is_refused =
        header_decode(header_bytes, &header, &why) == BUS_OK && view_is(header.status, "error") &&
        walk_find(body, "error_code", &value) == BUS_OK && walk_as_str(value, &code) == BUS_OK;
    if (is_refused) {
        self->stats.refused[error_from_text(code.data, code.size)]++;
    }
}

// Takes one message of the reader: an answer to pass on, or where a consumer stands. False where
// there is none.
static bool
take_page(router_t *self)
{
    enum { FRAMES_MAX = 4 };
    zmq_msg_t frames[FRAMES_MAX];
    int count = 0;
    bool has_more = true;
    while (has_more && count < FRAMES_MAX) {
        zmq_msg_init(&frames[count]);
        if (worker_recv(&frames[count], self->reader_socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frames[count]);
            break;
        }
        has_more = zmq_msg_more(&frames[count]);
        count++;
    }
    if (count == 3) {
        count_refused(self, egress_view(&frames[1]), egress_view(&frames[2]));
        egress_pass(self->egress, egress_view(&frames[0]), &frames[1], &frames[2]);
    } else if (count == 4) {
        uint64_t next;
        uint64_t ack;
        assert(zmq_msg_size(&frames[2]) == sizeof(next) && zmq_msg_size(&frames[3]) == sizeof(ack));
        memcpy(&next, zmq_msg_data(&frames[2]), sizeof(next));
        memcpy(&ack, zmq_msg_data(&frames[3]), sizeof(ack));
        control_hear_consumer(self, egress_view(&frames[1]), next, ack);
    }
    for (int i = 0; i < count; i++) {
        zmq_msg_close(&frames[i]);
    }
    return count > 0;
}

// A look at who does not read, again and again until much less is held.
static void
on_look(void *arg)
{
    router_t *self = arg;
    self->is_looking = held_bytes(egress_held(self->egress)) > HELD_SOFT / 2;
    gate_read(self->gate); // so that no descriptor is another's already
    if (!self->is_looking) {
        egress_look_away(self->egress);
        (void) malloc_trim(0); // what was let go in small pieces
        return;
    }
    if (egress_is_strained(self->egress)) {
        egress_look(self->egress);
    }
    loop_add_timer(self->options.loop, CLOG_LOOK_MS, 1, on_look, self);
}

// After whatever sends: begins to look where too much is held for peers.
static void
look_if_strained(router_t *self)
{
    if (!self->is_looking && egress_is_strained(self->egress)) {
        on_look(self);
    }
}

static void
on_reader(void *arg)
{
    router_t *self = arg;
    for (int i = 0; i < PAGES_MAX && take_page(self); i++) {
    }
    look_if_strained(self);
}

// Ends the loop once nothing that was taken is unanswered.
static void
stop_if_done(router_t *self)
{
    if (self->is_stopping && gather_is_empty(self->gather)) {
        loop_stop(self->options.loop);
    }
}

static void
on_committer(void *arg)
{
    router_t *self = arg;
    commit_read(self);
    look_if_strained(self);
    stop_if_done(self);
}

// --- From the sockets ---------------------------------------------------------------------------

static void
on_ingress(void *arg)
{
    router_t *self = arg;
    ingress_read(self);
    commit_flush(self);
    look_if_strained(self);
}

static void
on_egress(void *arg)
{
    router_t *self = arg;
    egress_read(self->egress);
}

static void
on_closed(void *arg, gate_door_t door, int fd)
{
    router_t *self = arg;
    if (self->who != NULL) {
        who_forget(self->who, door, fd);
    }
    if (door == GATE_OUT) {
        egress_forget(self->egress, fd);
    }
}

static void
on_monitor(void *arg)
{
    router_t *self = arg;
    gate_read(self->gate);
}

// A welcome: {epoch, boot, head}, to whoever listens on the inbox.
static void
on_inbox(void *arg, bus_view_t inbox)
{
    router_t *self = arg;
    pack_clear(self->body);
    pack_map(self->body, 3);
    pack_pair_text(self->body, "epoch", self->position.epoch);
    pack_pair_text(self->body, "boot", self->position.boot);
    pack_pair_uint(self->body, "head", self->position.head);
    const answer_to_t to = {.reply_to = inbox, .id = VIEW_LITERAL("welcome")};
    answer_body(self->answer, &to, pack_view(self->body));
}

static void
on_tick(void *arg)
{
    router_t *self = arg;
    gate_tick(self->gate);
    presence_tick(self);
    control_tick(self);
    warden_tick(self);
    refusal_tick(self);
    commit_flush(self);
    commit_tell_reader(self);
}

// --- Life ---------------------------------------------------------------------------------------

static void
know_consumer(void *arg, bus_view_t consumer, uint64_t ack)
{
    router_t *self = arg;
    if (consumer_heard(self->consumers, consumer, 0, ack, true) != BUS_OK) {
        log_warning("consumers_forgotten", "max=%d", CONSUMERS_MAX);
    }
}

static void
take_position(router_t *self)
{
    journal_info_t info;
    journal_info(self->options.journal, &info);
    memcpy(self->position.epoch, info.epoch, sizeof(self->position.epoch));
    id_make(self->position.boot);
    identity_read(&self->position.identity);
    self->position.started_ms = clock_boot_ms();
    self->position.first = info.first;
    self->position.head = info.head;
    self->position.at = info.at;
    self->position.bytes = info.bytes;
}

static router_t *
make(const router_options_t *options)
{
    router_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->options = *options;
    self->egress = egress_new(&self->stats, on_inbox, self);
    const gate_options_t gate_options = {
        .context = options->context,
        .endpoints = options->endpoints,
        .stats = &self->stats,
        .zap = options->zap,
        .closed_fn = on_closed,
        .closed_arg = self,
    };
    self->gate = gate_new(&gate_options);
    self->answer = answer_new(self->egress);
    self->gather = gather_new(options->pending_bytes);
    self->group = group_new();
    self->peers = peer_table_new();
    self->consumers = consumer_table_new();
    self->header = pack_new();
    self->body = pack_new();
    if (options->zap != NULL) {
        self->grants = grant_log_new();
        self->who = who_new(options->dir, self->grants);
        self->breach = breach_new();
        egress_guard(self->egress, self->who, warden_on_subscription, self);
    }
    return self;
}

static void
start(router_t *self)
{
    loop_t *loop = self->options.loop;
    void *context = self->options.context;
    self->committer = committer_new(context, self->options.journal, &self->committer_socket);
    self->reader =
        reader_new(context, self->options.journal, egress_held(self->egress), &self->reader_socket);
    commit_tell_reader(self);
    loop_add_socket(loop, gate_socket(self->gate, GATE_IN), on_ingress, self);
    loop_add_socket(loop, self->committer_socket, on_committer, self);
    loop_add_socket(loop, self->reader_socket, on_reader, self);
    loop_add_socket(loop, gate_socket(self->gate, GATE_OUT), on_egress, self);
    loop_add_socket(loop, gate_monitor(self->gate, GATE_IN), on_monitor, self);
    loop_add_socket(loop, gate_monitor(self->gate, GATE_OUT), on_monitor, self);
    loop_add_timer(loop, TICK_MS, 0, on_tick, self);
    warden_tell(self, false); // who is known
    commit_flush(self);
}

bus_err_t
router_new(const router_options_t *options, router_t **ret_self, gate_problem_t *reterr_problem)
{
    BUS_AUTO(router_destroy) router_t *self = make(options);
    take_position(self);
    if (self->who != NULL) {
        bus_err_t known = warden_open(self);
        if (known != BUS_OK) {
            return known;
        }
    }
    *reterr_problem = (gate_problem_t){.where = "journal", .why = "its consumers cannot be read"};
    bus_err_t err = journal_consumers(options->journal, know_consumer, self);
    if (err == BUS_OK) {
        err = gate_open(self->gate, GATE_IN, reterr_problem);
    }
    if (err == BUS_OK) {
        err = gate_open(self->gate, GATE_OUT, reterr_problem);
    }
    if (err != BUS_OK) {
        return err;
    }
    egress_attach(self->egress, self->gate);
    start(self);
    *ret_self = self;
    self = NULL;
    return BUS_OK;
}

void
router_destroy(router_t **self_p)
{
    router_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    warden_close(self);
    committer_destroy(&self->committer);
    reader_destroy(&self->reader);
    gate_destroy(&self->gate);
    answer_destroy(&self->answer);
    egress_destroy(&self->egress);
    gather_destroy(&self->gather);
    group_destroy(&self->group);
    peer_table_destroy(&self->peers);
    consumer_table_destroy(&self->consumers);
    who_destroy(&self->who);
    breach_destroy(&self->breach);
    grant_log_destroy(&self->grants);
    pack_destroy(&self->header);
    pack_destroy(&self->body);
    free(self);
    *self_p = NULL;
}

static void
on_late(void *arg)
{
    router_t *self = arg;
    log_error("stop_late", "pending_bytes=%llu", (unsigned long long) gather_bytes(self->gather));
    loop_stop(self->options.loop);
}

void
router_stop(router_t *self)
{
    if (self->is_stopping) {
        return;
    }
    self->is_stopping = true;
    loop_t *loop = self->options.loop;
    loop_remove_socket(loop, gate_socket(self->gate, GATE_IN));
    loop_add_timer(loop, ROUTER_STOP_MS, 1, on_late, self);
    warden_tell(self, true);
    commit_flush(self);
    stop_if_done(self);
}

void
router_reload(router_t *self)
{
    warden_load(self, true);
}

const char *
router_ingress(const router_t *self)
{
    return gate_endpoint(self->gate, GATE_IN);
}

uint64_t
router_head(const router_t *self)
{
    return self->position.head;
}
