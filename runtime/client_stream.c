// client_stream.c - go-back-N over a stream of numbers without gaps.
//
// The broker takes pseq last + 1, answers lower ones as duplicates and refuses higher ones with
// PSEQ_GAP (docs/protocol.md section 5). So a message that is sent again under its own number can
// only be taken once, and one that was lost holds up all behind it: going back to it is always
// safe, and never loses, doubles or reorders. Three things make us go back: a refusal, a new
// connection, and nothing having moved for a second (an ack or a message was lost and nobody will
// tell).
//
// What is not safe is giving a number to another message while a copy of anything may still claim
// it: the new one would be taken for a duplicate and lost. Copies outlive their answers, and even
// their connection (the broker may read the old one's bytes after the new one's). A message that is
// refused for good leaves such a number behind. So what was sent behind it moves to a fresh stream,
// under numbers that nothing else can claim. It moves only after everything before it is acked, or
// it could overtake; and after all copies known to be on their way were answered (they are refused,
// as their predecessor's number stays free), or a second went by. What remains is a copy of the
// refused message itself that is taken later, with those behind it: they would be in the journal
// twice, under one id, and a reducer ignores the second (section 2). Only the last number given may
// be used again, where its message was refused for what it is, not for the state of the broker, and
// no copy of it is on its way: a publisher that waits for each ack keeps its stream.
//
// A stream that the broker forgot (it expects what was acked before) is likewise replaced: what is
// not acked starts again from 1.
#include "client_stream.h"
#include <assert.h>

enum {
    PATIENCE_MS = 1000,     // many times the slowest commit of a disk that works
    PATIENCE_MAX_MS = 8000, // it doubles up to here: a broker that struggles is not flooded
    PAUSE_MIN_MS = 50,      // after BUSY, whatever the broker says
    PAUSE_MAX_MS = 5000,
    PAUSE_IO_MS = 1000, // after IO_ERROR: the broker's disk, not its load
};

void
client_stream_init(client_stream_t *self)
{
    *self = (client_stream_t){.patience_ms = PATIENCE_MS};
    id_make(self->name);
}

void
client_stream_add(client_stream_t *self, client_call_t *call)
{
    call->kind = CLIENT_CALL_STREAM;
    call->pseq = 0;
    call->copies = 0;
    client_call_enqueue(&self->queue, call);
}

// Whether what waits for a fresh stream may have it now; then it is there.
static bool
renew(client_stream_t *self, uint64_t now_ms)
{
    if (self->queue.head->pseq != 0) {
        return false; // still of the old one: it could be overtaken
    }
    if (self->copies > 0 && now_ms < self->broken_until_ms) {
        return false;
    }
    id_make(self->name);
    self->given = 0;
    self->acked = 0;
    self->gap = 0;
    self->is_broken = false;
    return true;
}

client_call_t *
client_stream_next(client_stream_t *self, uint64_t now_ms)
{
    client_call_t *call = self->queue.next;
    if (call == NULL || now_ms < self->pause_until_ms) {
        return NULL;
    }
    if (call->pseq != 0) {
        return call;
    }
    if (self->is_broken && !renew(self, now_ms)) {
        return NULL;
    }
    call->pseq = ++self->given;
    return call;
}

void
client_stream_sent(client_stream_t *self, client_call_t *call, uint64_t now_ms)
{
    assert(call == self->queue.next && call->pseq != 0);
    if (call == self->queue.head) {
        self->progress_ms = now_ms;
    }
    self->queue.next = call->newer;
    call->copies++;
    self->copies++;
}

static void
leave(client_stream_t *self, client_call_t *call)
{
    assert(self->copies >= call->copies);
    self->copies -= call->copies;
    call->copies = 0;
    client_call_dequeue(&self->queue, call);
}

static void
moved(client_stream_t *self, uint64_t now_ms)
{
    self->progress_ms = now_ms;
    self->patience_ms = PATIENCE_MS;
}

void
client_stream_acked(client_stream_t *self, client_call_t *call, uint64_t now_ms)
{
    if (call->pseq > self->acked) {
        self->acked = call->pseq;
    }
    if (call->pseq >= self->gap) {
        self->gap = 0;
    }
    moved(self, now_ms);
    leave(self, call);
}

// Takes the numbers away from `first` and all behind it: they wait for a fresh stream.
static void
break_from(client_stream_t *self, client_call_t *first, uint64_t now_ms)
{
    for (client_call_t *call = first; call != NULL; call = call->newer) {
        if (call == self->queue.next) {
            self->queue.next = first;
        }
        call->pseq = 0;
    }
    if (self->queue.next == NULL) {
        self->queue.next = first; // all were on their way
    }
    self->is_broken = true;
    self->broken_until_ms = now_ms + PATIENCE_MS;
}

// Sends again from `call` on, unless what is sent next is before it anyway.
static void
go_back(client_stream_t *self, client_call_t *call)
{
    client_call_t *next = self->queue.next;
    if (next == NULL || next->pseq == 0 || next->pseq > call->pseq) {
        self->queue.next = call;
        self->gap = call->pseq;
    }
}

static void
refused_gap(client_stream_t *self, client_call_t *call, uint64_t expected, uint64_t now_ms)
{
    if (expected == 0 || expected >= call->pseq || expected == self->gap) {
        return; // it makes no sense, or we went back to there already
    }
    if (expected <= self->acked) {
        break_from(self, self->queue.head, now_ms); // forgotten
        return;
    }
    client_call_t *first = self->queue.head;
    while (first->pseq < expected) {
        first = first->newer; // ends at `call`, whose pseq is above
    }
    go_back(self, first);
    self->gap = expected;
}

static uint64_t
pause_ms(const client_refusal_t *refusal)
{
    if (refusal->err == BUS_IO) {
        return PAUSE_IO_MS;
    }
    if (refusal->retry_after_s > PAUSE_MAX_MS / 1000) {
        return PAUSE_MAX_MS;
    }
    uint64_t ms = refusal->retry_after_s * 1000;
    return ms < PAUSE_MIN_MS ? PAUSE_MIN_MS : ms;
}

static void
refused_for_good(client_stream_t *self, client_call_t *call, bus_err_t err, uint64_t now_ms)
{
    bool may_reuse = !error_retry(err) && call->copies == 0 && call->pseq == self->given;
    if (call->pseq == 0) {
        leave(self, call);
        return;
    }
    client_call_t *newer = call->newer;
    if (may_reuse) {
        self->given--;
        leave(self, call);
        return;
    }
    leave(self, call);
    break_from(self, newer, now_ms);
}

bool
client_stream_refused(client_stream_t *self,
                      client_call_t *call,
                      const client_refusal_t *refusal,
                      uint64_t now_ms)
{
    if (call->copies > 0) {
        call->copies--;
        self->copies--;
    }
    moved(self, now_ms);
    if (refusal->err == BUS_PSEQ_GAP) {
        refused_gap(self, call, refusal->expected, now_ms);
        return false;
    }
    if (refusal->err == BUS_BUSY || refusal->err == BUS_IO) {
        self->pause_until_ms = now_ms + pause_ms(refusal);
        if (call->pseq != 0) {
            go_back(self, call);
        }
        return false;
    }
    refused_for_good(self, call, refusal->err, now_ms);
    return true;
}

bool
client_stream_abandon(client_stream_t *self, client_call_t *call)
{
    if (call->pseq != 0) {
        return false;
    }
    leave(self, call);
    return true;
}

void
client_stream_again(client_stream_t *self, uint64_t now_ms)
{
    for (client_call_t *call = self->queue.head; call != NULL; call = call->newer) {
        call->copies = 0;
    }
    self->copies = 0;
    self->gap = 0;
    self->queue.next = self->queue.head;
    moved(self, now_ms);
}

void
client_stream_tick(client_stream_t *self, uint64_t now_ms)
{
    const client_call_t *head = self->queue.head;
    if (head == NULL || head->pseq == 0 || head == self->queue.next ||
        now_ms < self->pause_until_ms || now_ms < self->progress_ms + self->patience_ms) {
        return;
    }
    self->gap = 0;
    self->queue.next = self->queue.head;
    self->progress_ms = now_ms;
    self->patience_ms =
        self->patience_ms * 2 < PATIENCE_MAX_MS ? self->patience_ms * 2 : PATIENCE_MAX_MS;
}
