// librarian_ingest.c - one document, from its text to Core's knowledge base. See
// librarian_ingest.h.
//
//     waits -> sends each part -> removes what was joined -> says the fact -> settles -> over
//                   |    ^
//                   v    | Core has it
//                  polls-+
//
// A rejection goes from `waits` straight to `says`. The way through Core is
// librarian_ingest_core.c.
#include "librarian_ingest_self.h"

#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { GIVE_UP_MS = 60000 }; // after which the document is left to be tried again

static void go_on(kernel_librarian_ingest_t *self);

static client_t *
client_of(const kernel_librarian_ingest_t *self)
{
    return service_client(self->owner->service);
}

static loop_t *
loop_of(const kernel_librarian_ingest_t *self)
{
    return service_loop(self->owner->service);
}

// --- The end -------------------------------------------------------------------------------------

static void
ingest_free(kernel_librarian_ingest_t *self)
{
    if (self->call != 0) {
        client_cancel(client_of(self), self->call);
    }
    if (self->timer != 0) {
        loop_cancel_timer(loop_of(self), self->timer);
    }
    text_destroy(&self->text);
    pack_destroy(&self->members);
    pack_destroy(&self->removes);
    pack_destroy(&self->chunk_ids);
    free(self);
}

static void
on_turn(void *arg)
{
    kernel_librarian_t *self = arg;
    self->timer = 0;
    kernel_librarian_ingest_t *next = NULL;
    // One that ends begins a new turn, so none is looked at that is gone.
    for (kernel_librarian_ingest_t *at = self->first; at != NULL && self->timer == 0; at = next) {
        next = at->next;
        if (at->state == KERNEL_LIBRARIAN_WAITS) {
            go_on(at);
        }
    }
}

static void
take_turns(kernel_librarian_t *self)
{
    if (self->timer == 0) {
        self->timer = loop_add_timer(service_loop(self->service), 0, 1, on_turn, self);
    }
}

// Takes it off the list, tells who asked, frees it.
static void
end(kernel_librarian_ingest_t *self, const kernel_librarian_outcome_t *outcome)
{
    kernel_librarian_t *owner = self->owner;
    kernel_librarian_ingest_t **place = &owner->first;
    while (*place != self) {
        place = &(*place)->next;
    }
    *place = self->next;
    owner->count--;
    take_turns(owner);
    self->fn(self->arg, outcome);
    ingest_free(self);
}

void
kernel_librarian_ingest_fail(kernel_librarian_ingest_t *self, bus_err_t err, const char *why)
{
    const kernel_librarian_outcome_t outcome = {
        .err = err, .why = why, .document_id = view_from_text(self->document_id)};
    log_warning("document_not_taken_in", "document=%.16s error=%s", self->sha256, error_text(err));
    end(self, &outcome);
}

static void
succeed(kernel_librarian_ingest_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    const char *status = self->is_rejected ? "rejected" : "completed";
    kernel_librarian_ingest_pack_result(self, status, result);
    const kernel_librarian_outcome_t outcome = {
        .err = BUS_OK,
        .status = status,
        .document_id = view_from_text(self->document_id),
        .quality = self->quality,
        .trust = self->trust,
        .chunks = self->is_rejected ? 0 : self->chunks,
        .result = pack_view(result),
    };
    end(self, &outcome);
}

// --- The fact ------------------------------------------------------------------------------------

static void
settle(kernel_librarian_ingest_t *self)
{
    if (self->state == KERNEL_LIBRARIAN_SETTLES && self->owner->applied >= self->fact) {
        succeed(self);
    }
}

static void
on_said(void *arg, const client_answer_t *answer)
{
    kernel_librarian_ingest_t *self = arg;
    self->call = 0;
    if (answer->event != CLIENT_ACKED) {
        kernel_librarian_ingest_fail(self, answer->err, "what came of it could not be said");
        return;
    }
    self->state = KERNEL_LIBRARIAN_SETTLES;
    self->fact = answer->seq;
    settle(self);
}

void
kernel_librarian_ingest_say_fact(kernel_librarian_ingest_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    kernel_librarian_ingest_pack_fact(self, body);
    self->state = KERNEL_LIBRARIAN_SAYS;
    const client_message_t message = {
        .topic = "kb.ingested",
        .body = pack_view(body),
        .trace_id = self->trace_id[0] != '\0' ? view_from_text(self->trace_id) : VIEW_NONE,
        .want = CLIENT_WANT_ACK,
    };
    bus_err_t err = client_send(client_of(self), &message, on_said, self, &self->call);
    if (err != BUS_OK) {
        self->call = 0;
        kernel_librarian_ingest_fail(self, err, "what came of it could not be said");
    }
}

// --- The beginning -------------------------------------------------------------------------------

// Whether an earlier one that is under way has the same text or id: its fact decides about ours.
static bool
is_blocked(const kernel_librarian_ingest_t *self)
{
    const kernel_librarian_ingest_t *other = self->owner->first;
    for (; other != self; other = other->next) {
        if (strcmp(other->sha256, self->sha256) == 0 ||
            strcmp(other->document_id, self->document_id) == 0) {
            return true;
        }
    }
    return false;
}

// Ends it where the text is known. False: it is new.
static bool
end_known(kernel_librarian_ingest_t *self, store_txn_t *txn)
{
    schema_librarian_document_t row;
    bus_view_t found;
    char id[KERNEL_LIBRARIAN_ID_SIZE];
    if (kernel_librarian_record_find(txn, view_from_text(self->sha256), &found) != BUS_OK ||
        kernel_librarian_record_get(txn, found, &row) != BUS_OK) {
        return false;
    }
    // What was rejected for its source may come from a better one.
    bool is_rejected = view_is(row.status, "rejected");
    if (is_rejected && !view_is(row.source, self->source) &&
        !(row.source.data == NULL && self->source[0] == '\0')) {
        return false;
    }
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    kernel_librarian_ingest_pack_duplicate(self, found, &row, result);
    (void) snprintf(id, sizeof id, "%.*s", (int) found.size, found.data);
    const kernel_librarian_outcome_t outcome = {
        .err = BUS_OK,
        .status = is_rejected ? "rejected" : "duplicate",
        .document_id = view_from_text(id),
        .quality = row.quality_score.value,
        .trust = row.trust_score.value,
        .result = pack_view(result),
    };
    end(self, &outcome);
    return true;
}

// A bad text under the id of a good document does not take its place, neither in Core nor here.
static bool
is_id_taken(const kernel_librarian_ingest_t *self)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    schema_librarian_document_t row;
    return !self->before.has && service_begin_read(self->owner->service, &txn) == BUS_OK &&
           kernel_librarian_record_get(txn, view_from_text(self->document_id), &row) == BUS_OK &&
           view_is(row.status, "accepted");
}

void
kernel_librarian_ingest_reject(kernel_librarian_ingest_t *self)
{
    self->is_rejected = true;
    if (is_id_taken(self)) {
        succeed(self);
    } else {
        kernel_librarian_ingest_say_fact(self);
    }
}

// Mending that did not help leaves Core with what it has.
static bool
is_better(const kernel_librarian_ingest_t *self)
{
    return !self->before.has || self->quality > self->before.value;
}

static void
go_on(kernel_librarian_ingest_t *self)
{
    if (is_blocked(self)) {
        return; // the end of that one brings it here again
    }
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    uint64_t count = 0;
    bus_err_t err = service_begin_read(self->owner->service, &txn);
    if (err == BUS_OK) {
        err = store_count(txn, KERNEL_LIBRARIAN_DOCUMENTS, &count);
    }
    if (err == BUS_OK && !self->before.has && end_known(self, txn)) {
        return;
    }
    self->store_began_us = clock_boot_us();
    if (!is_better(self) && self->rejected[0] != '\0') {
        self->is_rejected = true;
        memcpy(self->why, self->rejected, sizeof self->why);
    }
    if (err != BUS_OK) {
        kernel_librarian_ingest_fail(self, err, "the librarian's store could not be read");
    } else if (count >= KERNEL_LIBRARIAN_DOCUMENTS_MAX) {
        kernel_librarian_ingest_fail(
            self, BUS_QUOTA_EXCEEDED, "the librarian knows as many documents as it can");
    } else if (self->is_rejected) {
        kernel_librarian_ingest_reject(self);
    } else if (!is_better(self)) {
        kernel_librarian_ingest_say_fact(self);
    } else {
        kernel_librarian_ingest_send(self);
    }
}

static bool
has_control(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char) text.data[i];
        if (byte < 0x20 || byte == 0x7f) {
            return true;
        }
    }
    return false;
}

// What a person wrote may have line ends in it: spaces do as well.
static void
copy_words(char *copy, size_t size, bus_view_t text)
{
    assert(text.size < size);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char) text.data[i];
        copy[i] = text.data[i];
        if (byte < 0x20 || byte == 0x7f) {
            copy[i] = ' ';
        }
    }
    copy[text.size] = '\0';
}

static kernel_librarian_ingest_t *
ingest_new(kernel_librarian_t *owner, const kernel_librarian_ask_t *ask)
{
    kernel_librarian_ingest_t *self = calloc(1, sizeof *self);
    assert(self);
    self->owner = owner;
    self->text = text_new();
    self->members = pack_new();
    self->removes = pack_new();
    self->chunk_ids = pack_new();
    self->before = ask->before;
    self->steps = ask->steps;
    self->began_us = clock_boot_us();
    self->give_up_ms = clock_boot_ms() + GIVE_UP_MS;
    copy_words(self->title, sizeof self->title, ask->title);
    copy_words(self->source, sizeof self->source, ask->source);
    copy_words(self->trace_id, sizeof self->trace_id, ask->trace_id);
    copy_words(self->sha256, sizeof self->sha256, ask->sha256);
    if (ask->rejected.size < sizeof self->rejected) {
        copy_words(self->rejected, sizeof self->rejected, ask->rejected);
    }
    pack_raw(self->members, ask->members);
    pack_raw(self->removes, ask->removes);
    kernel_librarian_text_clean(ask->text, self->text);
    self->extract_us = clock_boot_us() - self->began_us;
    kernel_librarian_ingest_look(self);
    if (self->section_count > 1) {
        self->steps |= KERNEL_LIBRARIAN_MEND_SPLIT;
    }
    if (ask->document_id.size > 0) {
        copy_words(self->document_id, sizeof self->document_id, ask->document_id);
    } else {
        (void) snprintf(self->document_id, sizeof self->document_id, "doc_%.16s", self->sha256);
    }
    return self;
}

bus_err_t
kernel_librarian_ingest(kernel_librarian_t *self,
                        const kernel_librarian_ask_t *ask,
                        kernel_librarian_done_fn *fn,
                        void *arg)
{
    if (self->count >= KERNEL_LIBRARIAN_INGESTS_MAX) {
        return BUS_BUSY;
    }
    if (ask->text.size > KERNEL_LIBRARIAN_TEXT_MAX) {
        return BUS_PAYLOAD_TOO_LARGE;
    }
    if (!walk_utf8(ask->text) || has_control(ask->document_id) ||
        ask->document_id.size >= KERNEL_LIBRARIAN_ID_SIZE ||
        ask->title.size >= KERNEL_LIBRARIAN_TITLE_SIZE ||
        ask->source.size >= KERNEL_LIBRARIAN_SOURCE_SIZE ||
        (ask->sha256.size != 0 && ask->sha256.size != KERNEL_LIBRARIAN_SHA_SIZE)) {
        return BUS_VALIDATION_FAILED;
    }
    kernel_librarian_ingest_t *ingest = ingest_new(self, ask);
    ingest->fn = fn;
    ingest->arg = arg;
    kernel_librarian_ingest_t **place = &self->first;
    while (*place != NULL) {
        place = &(*place)->next;
    }
    *place = ingest;
    self->count++;
    take_turns(self);
    return BUS_OK;
}

// --- All of them ---------------------------------------------------------------------------------

kernel_librarian_t *
kernel_librarian_new(service_t *service)
{
    kernel_librarian_t *self = calloc(1, sizeof *self);
    assert(self);
    self->service = service;
    return self;
}

void
kernel_librarian_destroy(kernel_librarian_t **self_p)
{
    assert(self_p);
    kernel_librarian_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    kernel_librarian_batch_clear(self);
    kernel_librarian_ingest_t *next = NULL;
    for (kernel_librarian_ingest_t *at = self->first; at != NULL; at = next) {
        next = at->next;
        ingest_free(at);
    }
    if (self->timer != 0) {
        loop_cancel_timer(service_loop(self->service), self->timer);
    }
    free(self);
    *self_p = NULL;
}

void
kernel_librarian_applied(kernel_librarian_t *self, uint64_t seq)
{
    self->applied = seq;
    bool has_ended = true;
    while (has_ended) { // one that ends may take others with it
        has_ended = false;
        size_t before = self->count;
        for (kernel_librarian_ingest_t *at = self->first; at != NULL && !has_ended;) {
            kernel_librarian_ingest_t *next = at->next;
            settle(at);
            has_ended = self->count != before;
            at = next;
        }
    }
}

size_t
kernel_librarian_open(const kernel_librarian_t *self)
{
    return self->count;
}

service_t *
kernel_librarian_service(const kernel_librarian_t *self)
{
    return self->service;
}
