// service_act.c - services with effects: acting on what was committed, and answering later.
//
// `apply` decides, and is a function of the journal; `act` does, and is called only with what is
// committed, and only by a process that has caught up. What comes of an effect is another journaled
// fact, and where a command was deferred it is answered by the record of that fact: by whichever
// process applies it. So who waits is kept in the store, beside the command.
//
// A question is deferred in memory: it changes nothing, and dies with the process.
#include "proto/limits.h"
#include "proto/walk.h"
#include "service_self.h"
#include <assert.h>
#include <stdlib.h>

enum { WAITING_MAX = 8 }; // askers of one command: a caller and its repeats

struct service_question {
    service_question_t *prev;
    service_question_t *next;
    service_t *service;
    const service_ear_t *ear; // that heard it
    char id[ID_SIZE_MAX + 1];
    char reply_to[NAME_SIZE_MAX + 1];
    char trace_id[NAME_SIZE_MAX + 1]; // "": none
};

// --- Commands ------------------------------------------------------------------------------------

static void
pack_asker(const header_t *asked, pack_t *out)
{
    pack_array(out, 3);
    pack_str(out, asked->reply_to);
    pack_str(out, asked->id);
    if (asked->trace_id.data == NULL) {
        pack_nil(out);
    } else {
        pack_str(out, asked->trace_id);
    }
}

bus_err_t
service_defer(service_apply_t *apply)
{
    service_t *self = apply->service;
    const header_t *header = apply->header;
    assert(self->hand.row->replies && !self->hand.row->read);
    self->hand.is_deferred = true;
    bool is_asked = header->reply_to.data != NULL && header->id.data != NULL;
    pack_clear(self->value);
    pack_array(self->value, is_asked ? 1 : 0);
    if (is_asked) {
        pack_asker(header, self->value);
    }
    bus_err_t err =
        service_store_put_waiting(self, apply->txn, header->seq, pack_view(self->value));
    self->hand.store_err = err;
    return err;
}

bus_err_t
service_act_wait(service_t *self, store_txn_t *txn, uint64_t original)
{
    const header_t *header = &self->hand.record->header;
    bus_view_t waiting;
    bus_err_t err = service_store_find_waiting(self, txn, original, &waiting);
    if (err != BUS_OK || header->reply_to.data == NULL || header->id.data == NULL) {
        return err == BUS_NOT_FOUND ? BUS_OK : err;
    }
    walk_t walk = walk_from(waiting);
    walk_item_t head;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY) {
        return BUS_CORRUPT;
    }
    if (head.count >= WAITING_MAX) {
        return BUS_OK; // this one will time out: the others are told
    }
    pack_clear(self->value);
    pack_array(self->value, head.count + 1);
    for (uint32_t i = 0; i < head.count; i++) {
        bus_view_t asker;
        if (walk_skip(&walk, &asker) != BUS_OK) {
            return BUS_CORRUPT;
        }
        pack_raw(self->value, asker);
    }
    pack_asker(header, self->value);
    return service_store_put_waiting(self, txn, original, pack_view(self->value));
}

// Replies to each asker of a waiting command.
static bus_err_t
reply_to_all(service_t *self, bus_view_t waiting, const service_answer_t *answer)
{
    walk_t walk = walk_from(waiting);
    walk_item_t head;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY) {
        return BUS_CORRUPT;
    }
    for (uint32_t i = 0, count = head.count; i < count; i++) {
        walk_item_t reply_to, id, trace;
        if (walk_next(&walk, &head) != BUS_OK || walk_next(&walk, &reply_to) != BUS_OK ||
            walk_next(&walk, &id) != BUS_OK || walk_next(&walk, &trace) != BUS_OK ||
            reply_to.type != WALK_STR || id.type != WALK_STR) {
            return BUS_CORRUPT;
        }
        const header_t asked = {
            .reply_to = reply_to.bytes,
            .id = id.bytes,
            .trace_id = trace.type == WALK_STR ? trace.bytes : VIEW_NONE,
        };
        service_apply_reply(self, &asked, answer);
    }
    return BUS_OK;
}

bus_err_t
service_answer(service_apply_t *apply, uint64_t seq, bus_err_t err, bus_view_t body)
{
    service_t *self = apply->service;
    const service_answer_t answer = {.err = err, .body = body};
    bus_view_t waiting;
    bus_err_t failed = service_store_find_waiting(self, apply->txn, seq, &waiting);
    if (failed == BUS_OK) {
        failed = reply_to_all(self, waiting, &answer); // copies: the view dies with the next write
        if (failed == BUS_OK) {
            failed = service_store_del_waiting(self, apply->txn, seq);
        }
    } else if (failed == BUS_NOT_FOUND) {
        failed = BUS_OK;
    }
    if (failed == BUS_OK) {
        failed = service_store_put_answer(self, apply->txn, seq, apply->topic, &answer);
    }
    if (failed != BUS_OK) {
        self->hand.store_err = failed;
    }
    return failed;
}

// --- Acting --------------------------------------------------------------------------------------

void
service_act_look(service_t *self)
{
    if (self->definition->act == NULL || !self->is_settled || self->options->rebuild ||
        self->is_failing || self->status != 0) {
        return;
    }
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    if (store_begin(self->store, STORE_READ, &txn) != BUS_OK) {
        return; // the next commit brings it here again
    }
    header_t header = {.source = view_from_text(self->definition->source),
                       .at = self->committed.at};
    service_query_t query = {
        .service = self,
        .state = self->state,
        .txn = txn,
        .header = &header,
        .topic = VIEW_NONE,
        .body = VIEW_NONE,
        .answer = self->answer,
    };
    self->definition->act(&query);
}

loop_t *
service_loop(service_t *self)
{
    return self->loop;
}

client_t *
service_client(service_t *self)
{
    return self->client;
}

const char *
service_boot(const service_t *self)
{
    return client_instance(self->client);
}

bus_err_t
service_begin_read(service_t *self, store_txn_t **ret_txn)
{
    return store_begin(self->store, STORE_READ, ret_txn);
}

// --- Questions -----------------------------------------------------------------------------------

static void
copy_text(char *text, size_t size, bus_view_t view)
{
    assert(view.size < size); // the header's own limits
    if (view.size > 0) {
        memcpy(text, view.data, view.size);
    }
    text[view.size] = '\0';
}

service_question_t *
service_query_defer(service_query_t *query)
{
    service_t *self = query->service;
    service_questions_t *questions = &self->questions;
    if (questions->count >= SERVICE_QUESTIONS_MAX) {
        return NULL;
    }
    service_question_t *question = calloc(1, sizeof *question);
    assert(question);
    question->service = self;
    question->ear = self->hearing;
    copy_text(question->id, sizeof question->id, query->header->id);
    copy_text(question->reply_to, sizeof question->reply_to, query->header->reply_to);
    copy_text(question->trace_id, sizeof question->trace_id, query->header->trace_id);
    question->next = questions->first;
    if (questions->first != NULL) {
        questions->first->prev = question;
    }
    questions->first = question;
    questions->count++;
    self->hand.is_deferred = true;
    return question;
}

void
service_question_answer(service_question_t **self_p, bus_err_t err, bus_view_t body)
{
    assert(self_p);
    service_question_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    service_t *service = self->service;
    const header_t asked = {
        .reply_to = view_from_text(self->reply_to),
        .id = view_from_text(self->id),
        .trace_id = self->trace_id[0] == '\0' ? VIEW_NONE : view_from_text(self->trace_id),
    };
    BUS_AUTO(pack_destroy) pack_t *words = NULL;
    if (err == BUS_OK && body.size > INBOX_BODY_SIZE_MAX) {
        err = BUS_PAYLOAD_TOO_LARGE;
        body = VIEW_NONE;
    }
    if (err != BUS_OK && body.data == NULL) {
        words = pack_new();
        schema_pack_error(words, err, NULL, VIEW_NONE, 0);
        body = pack_view(words);
    }
    client_reply(self->ear->client, &asked, err, body);
    *(self->prev != NULL ? &self->prev->next : &service->questions.first) = self->next;
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
    service->questions.count--;
    free(self);
    *self_p = NULL;
}

void
service_act_stop(service_t *self)
{
    for (service_question_t *at = self->questions.first, *next; at != NULL; at = next) {
        next = at->next;
        service_question_answer(&at, BUS_ABORTED, VIEW_NONE);
    }
}
