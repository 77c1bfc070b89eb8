// commit.c - the one place where messages become durable and their answers are let go.
//
// A block goes to the committer whenever that is idle, however little is in it: batches grow by
// themselves while the disk is busy. When it comes back, every item is answered and every new
// record published, in journal order; only then does the reader hear of the new head, so an ack
// leaves before its record can be fetched.
#include "record.h"
#include "router_state.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "worker.h"
#include <assert.h>
#include <errno.h>

// `ack: "last"`: the stream's latest success in this block waits here, one slot a stream by its
// hash. Two streams that share a slot push each other out, which costs an ack more, never one less.
enum { LAST_SLOTS = 256, LOOK_EVERY = 1024 };

typedef struct {
    router_t *router;
    const batch_item_t *last[LAST_SLOTS]; // NULL: none waits
    uint32_t items;
} release_t;

void
commit_flush(router_t *self)
{
    zmq_msg_t block;
    if (!gather_take(self->gather, &block)) {
        return;
    }
    self->commit_started = clock_boot_us();
    while (worker_send(&block, self->committer_socket, ZMQ_DONTWAIT) < 0) {
        assert(zmq_errno() == EINTR); // one block is under way at a time: there is room
    }
}

void
commit_tell_reader(router_t *self)
{
    uint64_t head = self->position.head;
    if (self->told_head == head) {
        return;
    }
    if (zmq_send(self->reader_socket, "H", 1, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        return; // it has much to do; the tick tells it
    }
    int rc = zmq_send(self->reader_socket, &head, sizeof(head), 0);
    assert(rc == sizeof(head));
    self->told_head = head;
}

// --- Answers ------------------------------------------------------------------------------------

static void
send_ack(router_t *self, const batch_item_t *item)
{
    const answer_to_t to = answer_to_item(item, true);
    const answer_ack_t ack = {
        .seq = item->seq,
        .at = item->at,
        .duplicate = item->duplicate,
        .first = item->first,
        .count = item->kind == BATCH_GROUP ? item->count : 0,
    };
    answer_ack(self->answer, &to, &ack);
}

static void
send_error(router_t *self, const batch_item_t *item)
{
    const answer_to_t to =
        answer_to_item(item, item->kind == BATCH_RECORD || item->kind == BATCH_GROUP);
    bus_err_t err = (bus_err_t) item->err;
    self->stats.refused[err]++;
    stats_journal_failed(&self->stats, err);
    if (err != BUS_PSEQ_GAP) {
        answer_error(self->answer, &to, err, NULL, VIEW_NONE);
        return;
    }
    pack_clear(self->body);
    pack_map(self->body, 1);
    pack_pair_uint(self->body, "expected", item->expected);
    answer_error(self->answer, &to, err, NULL, pack_view(self->body));
}

static void
send_hello(router_t *self, const batch_item_t *item)
{
    const answer_to_t to = answer_to_item(item, false);
    bool has_cause = item->count > 0 && item->cause_seq > 0;
    pack_clear(self->body);
    pack_map(self->body, has_cause ? 5 : 4);
    pack_pair_text(self->body, "epoch", self->position.epoch);
    pack_pair_text(self->body, "boot", self->position.boot);
    pack_pair_uint(self->body, "head", self->position.head);
    pack_pair_uint(self->body, "pseq", item->expected);
    if (has_cause) {
        pack_text(self->body, "cause");
        pack_array(self->body, 2);
        pack_uint(self->body, item->cause_seq);
        pack_uint(self->body, item->cause_n);
    }
    answer_body(self->answer, &to, pack_view(self->body));
}

static const batch_item_t **
last_slot(release_t *self, const batch_item_t *item)
{
    bus_view_t texts[] = {batch_piece(item, item->source), batch_piece(item, item->pstream)};
    uint32_t hash = 2166136261U; // FNV-1a: a bad hash costs acks, not correctness
    for (int i = 0; i < 2; i++) {
        for (size_t j = 0; j < texts[i].size; j++) {
            hash = (hash ^ (uint8_t) texts[i].data[j]) * 16777619U;
        }
    }
    return &self->last[(hash ^ hash >> 16) % LAST_SLOTS];
}

static bool
is_same_stream(const batch_item_t *a, const batch_item_t *b)
{
    return view_equal(batch_piece(a, a->source), batch_piece(b, b->source)) &&
           view_equal(batch_piece(a, a->pstream), batch_piece(b, b->pstream));
}

static void
answer_published(release_t *self, const batch_item_t *item)
{
    header_ack_t wanted = (header_ack_t) item->ack;
    if (wanted == HEADER_ACK_NONE && item->err == BUS_OK) {
        return;
    }
    if (wanted != HEADER_ACK_LAST) {
        if (item->err == BUS_OK) {
            send_ack(self->router, item);
        } else {
            send_error(self->router, item);
        }
        return;
    }
    const batch_item_t **slot = last_slot(self, item);
    if (*slot != NULL && (item->err != BUS_OK || !is_same_stream(*slot, item))) {
        send_ack(self->router, *slot);
        *slot = NULL;
    }
    if (item->err == BUS_OK) {
        *slot = item;
    } else {
        send_error(self->router, item);
    }
}

// --- Releasing a block --------------------------------------------------------------------------

static void
publish(router_t *self, const batch_item_t *item)
{
    zmq_msg_t frames[3];
    egress_frame(&frames[0], batch_piece(item, item->topic));
    egress_frame(&frames[1], batch_piece(item, item->header));
    egress_frame(&frames[2], batch_piece(item, item->body));
    egress_publish(self->egress, TOPIC_JOURNALED, &frames[0], &frames[1], &frames[2]);
}

static void
release_record(release_t *self, const batch_item_t *item)
{
    router_t *router = self->router;
    warden_committed(router, item);
    if (!item->grouped) {
        answer_published(self, item);
    }
    if (item->err != BUS_OK) {
        return;
    }
    if (item->duplicate) {
        router->stats.duplicates++;
        return;
    }
    // Usually the next one; after a commit whose flush failed the journal may hold what was
    // refused.
    assert(item->seq > router->position.head);
    router->position.head = item->seq;
    router->position.at = item->at;
    router->position.bytes += item->record.size + RECORD_TRAILER_SIZE;
    router->stats.journaled++;
    router->stats.journal_err = BUS_OK;
    publish(router, item);
}

static void
release_forget(router_t *self, const batch_item_t *item)
{
    if (item->err != BUS_OK) {
        send_error(self, item);
        return;
    }
    const answer_to_t to = answer_to_item(item, false);
    answer_body(self->answer, &to, PACK_EMPTY_MAP);
}

static void
release_trim(router_t *self, const batch_item_t *item)
{
    self->is_trim_pending = false;
    if (item->err != BUS_OK) {
        log_warning("trim_failed", "error=%s", error_text((bus_err_t) item->err));
        return;
    }
    self->position.first = item->first;
    self->position.bytes = item->expected;
    if (item->count == JOURNAL_TRIM_MAX) {
        control_trim(self); // there may be more: at its pace, not at the tick's
    }
}

static void
release_item(release_t *self, const batch_item_t *item)
{
    router_t *router = self->router;
    switch ((batch_kind_t) item->kind) {
    case BATCH_RECORD:
        release_record(self, item);
        return;
    case BATCH_GROUP:
        answer_published(self, item);
        return;
    case BATCH_HELLO:
        if (item->err == BUS_OK) {
            send_hello(router, item);
        } else {
            send_error(router, item);
        }
        return;
    case BATCH_CONSUMER:
        if (item->err != BUS_OK) {
            consumer_not_stored(router->consumers, batch_piece(item, item->source));
        }
        return;
    case BATCH_FORGET:
        release_forget(router, item);
        return;
    case BATCH_TRIM:
        release_trim(router, item);
        return;
    }
}

static void
release_block(router_t *self, void *data, size_t size, uint64_t latency_us)
{
    release_t release = {.router = self};
    for (batch_item_t *item = batch_first(data, size); item != NULL;
         item = batch_next(data, size, item)) {
        release_item(&release, item);
        release.items++;
        if (release.items % LOOK_EVERY == 0) {
            gate_read(self->gate); // a full block takes long enough for too many to come in
        }
    }
    for (int i = 0; i < LAST_SLOTS; i++) {
        if (release.last[i] != NULL) {
            send_ack(self, release.last[i]);
        }
    }
    stats_add_commit(&self->stats, release.items, latency_us);
}

void
commit_read(router_t *self)
{
    zmq_msg_t block;
    zmq_msg_init(&block);
    if (worker_recv(&block, self->committer_socket, ZMQ_DONTWAIT) >= 0) {
        uint64_t latency_us = clock_boot_us() - self->commit_started;
        gather_done(self->gather);
        commit_flush(self); // the disk works while we answer
        release_block(self, zmq_msg_data(&block), zmq_msg_size(&block), latency_us);
        commit_flush(self); // what that brought about
        commit_tell_reader(self);
    }
    zmq_msg_close(&block);
}
