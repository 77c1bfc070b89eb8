// librarian_ingest_core.c - a document on its way to Core, and what was joined on its way out.
//
// Core answers a command only while somebody may still wait for it: an answer that does not come
// within CORE_MS may be lost, and then Core is asked what it has, instead of being told again.
#include "librarian_ingest_self.h"

#include "proto/walk.h"
#include "runtime/clock.h"

#include <assert.h>
#include <stdio.h>

enum {
    CORE_MS = 5000, // for Core's answer: as long as it gives any
    POLL_MS = 500,  // between two looks at what Core has
    ASK_MS = 2000,  // for the answer to one
};

static void remove_next(kernel_librarian_ingest_t *self);
static void poll_later(kernel_librarian_ingest_t *self);

static client_t *
client_of(const kernel_librarian_ingest_t *self)
{
    return service_client(self->owner->service);
}

static bool
is_late(kernel_librarian_ingest_t *self)
{
    return clock_boot_ms() >= self->give_up_ms;
}

// --- What was joined goes from Core --------------------------------------------------------------

// The next id to be removed. False where there is none.
static bool
find_removal(kernel_librarian_ingest_t *self, bus_view_t *ret_id)
{
    walk_t walk = walk_from(pack_view(self->removes));
    walk_item_t item;
    if (pack_view(self->removes).size == 0 || walk_next(&walk, &item) != BUS_OK ||
        self->sent >= item.count) {
        return false;
    }
    for (size_t i = 0; i <= self->sent; i++) {
        bus_err_t err = walk_next(&walk, &item);
        assert(err == BUS_OK && item.type == WALK_STR); // we packed it
    }
    *ret_id = item.bytes;
    return true;
}

static void
on_removed(void *arg, const client_answer_t *answer)
{
    kernel_librarian_ingest_t *self = arg;
    if (answer->event == CLIENT_ACKED && answer->err == BUS_OK) {
        self->is_acked = true;
        return;
    }
    self->call = 0;
    bool is_gone = answer->err == BUS_OK || answer->err == BUS_NOT_FOUND;
    if (!is_gone && !self->is_acked) {
        kernel_librarian_ingest_fail(self, answer->err, "what was joined could not be removed");
        return;
    }
    self->sent++; // it is in the journal: Core removes it sooner or later
    remove_next(self);
}

static void
remove_next(kernel_librarian_ingest_t *self)
{
    bus_view_t id;
    if (!find_removal(self, &id)) {
        kernel_librarian_ingest_say_fact(self);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_str(body, "document_id", id);
    self->state = KERNEL_LIBRARIAN_REMOVES;
    self->is_acked = false;
    const client_message_t message = {
        .topic = "kb.remove",
        .body = pack_view(body),
        .trace_id = self->trace_id[0] != '\0' ? view_from_text(self->trace_id) : VIEW_NONE,
        .want = CLIENT_WANT_ACK | CLIENT_WANT_REPLY,
        .timeout_ms = CORE_MS,
    };
    bus_err_t err = client_send(client_of(self), &message, on_removed, self, &self->call);
    if (err != BUS_OK) {
        self->call = 0;
        kernel_librarian_ingest_fail(self, err, "what was joined could not be removed");
    }
}

// --- To Core -------------------------------------------------------------------------------------

static void
take_part(kernel_librarian_ingest_t *self)
{
    self->sent++;
    self->send_id[0] = '\0';
    if (self->sent < self->section_count) {
        kernel_librarian_ingest_send(self);
        return;
    }
    self->sent = 0;
    remove_next(self);
}

static void
reject(kernel_librarian_ingest_t *self, bus_view_t body)
{
    bus_view_t text = walk_text_at(body, "message");
    text = text.data != NULL ? text : VIEW_LITERAL("no reason given");
    int size = (int) (text.size <= 200 ? text.size : 0);
    (void) snprintf(
        self->why, sizeof self->why, "the knowledge base refuses it: %.*s", size, text.data);
    kernel_librarian_ingest_reject(self);
}

static void
on_core(void *arg, const client_answer_t *answer)
{
    kernel_librarian_ingest_t *self = arg;
    if (answer->event == CLIENT_ACKED && answer->err == BUS_OK) {
        self->is_acked = true;
        return;
    }
    self->call = 0;
    if (answer->event == CLIENT_REPLIED && answer->err == BUS_OK) {
        bus_view_t action = walk_text_at(answer->body, "action");
        action = action.data != NULL ? action : VIEW_LITERAL("added");
        (void) snprintf(self->action, sizeof self->action, "%.*s", (int) action.size, action.data);
        take_part(self);
    } else if (answer->event == CLIENT_REPLIED && answer->err == BUS_VALIDATION_FAILED) {
        reject(self, answer->body);
    } else if (answer->event == CLIENT_REPLIED) {
        kernel_librarian_ingest_fail(self, answer->err, "the knowledge base did not take it");
    } else if (answer->err == BUS_TIMEOUT) {
        poll_later(self);
    } else {
        kernel_librarian_ingest_fail(
            self, answer->err, "it could not be handed to the knowledge base");
    }
}

void
kernel_librarian_ingest_send(kernel_librarian_ingest_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    kernel_librarian_ingest_pack_part(self, self->sent, body);
    self->state = KERNEL_LIBRARIAN_SENDS;
    if (self->send_id[0] == '\0') {
        id_make(self->send_id);
        self->is_acked = false;
    }
    const client_message_t message = {
        .topic = "kb.document",
        .body = pack_view(body),
        .id = self->send_id,
        .trace_id = self->trace_id[0] != '\0' ? view_from_text(self->trace_id) : VIEW_NONE,
        .want = CLIENT_WANT_ACK | CLIENT_WANT_REPLY,
        .timeout_ms = CORE_MS,
    };
    bus_err_t err = client_send(client_of(self), &message, on_core, self, &self->call);
    if (err != BUS_OK) {
        self->call = 0;
        kernel_librarian_ingest_fail(self, err, "it could not be handed to the knowledge base");
    }
}

// --- Where Core's answer was lost ----------------------------------------------------------------

// Whether Core has the part that is on its way: of one part its hash tells; of several, that the
// document has that many and none is missing, since each is sent when the one before is there.
static bool
is_there(const kernel_librarian_ingest_t *self, bus_view_t body)
{
    char hex[KERNEL_LIBRARIAN_SHA_SIZE + 1];
    bus_view_t document;
    walk_items_t documents = walk_items_at(body, "documents");
    if (documents.left != 1 || !walk_items_next(&documents, &document)) {
        return false;
    }
    if (self->section_count > 1) {
        return walk_uint_at(document, "parts", 0) == self->section_count &&
               walk_uint_at(document, "parts_missing", UINT64_MAX) <=
                   self->section_count - self->sent - 1;
    }
    sha256_hex(self->sections[0], hex);
    return view_is(walk_text_at(document, "sha256"), hex);
}

static void
on_documents(void *arg, const client_answer_t *answer)
{
    kernel_librarian_ingest_t *self = arg;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    self->call = 0;
    if (answer->err == BUS_OK && is_there(self, answer->body)) {
        (void) snprintf(self->action, sizeof self->action, "added");
        take_part(self);
    } else if (is_late(self)) {
        kernel_librarian_ingest_fail(
            self, BUS_SERVICE_UNAVAILABLE, "the knowledge base did not say that it has it");
    } else if (self->is_acked) {
        poll_later(self);
    } else {
        kernel_librarian_ingest_send(self); // the same once more: it never reached the journal
    }
}

static void
on_poll(void *arg)
{
    kernel_librarian_ingest_t *self = arg;
    self->timer = 0;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "document_id", self->document_id);
    const client_message_t message = {
        .topic = "req.core.documents",
        .body = pack_view(body),
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = ASK_MS,
    };
    bus_err_t err = client_send(client_of(self), &message, on_documents, self, &self->call);
    if (err != BUS_OK) {
        self->call = 0;
        kernel_librarian_ingest_fail(self, err, "the knowledge base could not be asked");
    }
}

static void
poll_later(kernel_librarian_ingest_t *self)
{
    self->state = KERNEL_LIBRARIAN_POLLS;
    self->timer = loop_add_timer(service_loop(self->owner->service), POLL_MS, 1, on_poll, self);
}
