// service_outbox.c - what a service says in consequence of a record, exactly once.
//
// A message gets its number, the next of stream "", in the transaction that applied its cause, and
// is published from the store in that order until the broker's ack says that it is durable: a
// second publication is a duplicate to the broker. Its id is made of its cause, so it stays the
// same for reducers too. The broker's answer to hello says how far the stream is and what caused
// its last message. Where our counter is behind that, the store was lost and is being made again
// from the journal: everything caused up to there was said before, and is dropped when it is said
// again.
#include "clock.h"
#include "log.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "service_self.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WINDOW = 1000,      // on their way
    SWEEP_MAX = 2000,   // rows deleted in one go
    LOOK_MS = 100,      // how often it is looked at while something is on its way
    PATIENCE_MS = 1000, // nothing acked for so long: all is sent again
    PAUSE_BUSY_MS = 50,
    PAUSE_MS = 1000, // after a refusal that time alone may not heal
    ID_TEXT_MAX = ID_SIZE_MAX + 1,
};

// --- Saying --------------------------------------------------------------------------------------

static bool
was_said(const service_place_t *place, uint64_t seq, uint64_t n)
{
    return seq < place->skip_seq || (seq == place->skip_seq && n <= place->skip_n);
}

bus_err_t
service_outbox_put(service_t *self, store_txn_t *txn, bus_view_t topic, bus_view_t body)
{
    const header_t *cause = &self->hand.record->header;
    uint64_t n = self->hand.said++;
    if (self->options->rebuild || was_said(&self->place, cause->seq, n)) {
        return BUS_OK;
    }
    char id[ID_TEXT_MAX];
    snprintf(id,
             sizeof(id),
             "%s-%llu-%llu",
             self->definition->name,
             (unsigned long long) cause->seq,
             (unsigned long long) n);
    uint64_t pseq = self->place.pseq + 1;
    header_t header = {
        .id = view_from_text(id),
        .source = view_from_text(self->definition->source),
        .trace_id = service_apply_trace(self),
        .time = cause->at,
        .pseq = pseq,
        .cause_seq = cause->seq,
        .cause_n = n,
    };
    pack_clear(self->value);
    pack_array(self->value, 3);
    pack_str(self->value, topic);
    header_encode(&header, self->value);
    pack_raw(self->value, body);
    bus_err_t err = store_append(
        txn, service_store_outbox_table(self), STORE_U64(pseq), pack_view(self->value));
    if (err == BUS_OK) {
        self->place.pseq = pseq;
    }
    return err == BUS_CONFLICT ? BUS_CORRUPT : err; // a row above the counter
}

// --- Sending -------------------------------------------------------------------------------------

static bus_err_t
send_row(service_t *self, bus_view_t row)
{
    walk_t walk = walk_from(row);
    walk_item_t head, topic;
    bus_view_t header_bytes, body;
    header_t header;
    const char *why;
    if (walk_next(&walk, &head) != BUS_OK || walk_next(&walk, &topic) != BUS_OK ||
        topic.type != WALK_STR || walk_skip(&walk, &header_bytes) != BUS_OK ||
        walk_skip(&walk, &body) != BUS_OK || header_decode(header_bytes, &header, &why) != BUS_OK) {
        return BUS_CORRUPT;
    }
    return client_outbox_send(self->client, topic.bytes, &header, body);
}

// Sends from `next` on. BUS_BUSY where the socket takes no more.
static bus_err_t
send_rows(service_t *self)
{
    service_outbox_t *outbox = &self->outbox;
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_begin(self->store, STORE_READ, &txn);
    if (err == BUS_OK) {
        err = store_cursor_open(txn, service_store_outbox_table(self), &cursor);
    }
    bus_view_t key, row;
    if (err == BUS_OK) {
        err = store_seek(cursor, STORE_U64(outbox->next), &key, &row);
    }
    while (err == BUS_OK && outbox->next <= outbox->acked + WINDOW) {
        if (!view_equal(key, STORE_U64(outbox->next))) {
            err = BUS_CORRUPT;
        } else {
            err = send_row(self, row);
        }
        if (err == BUS_OK) {
            outbox->next++;
            err = store_next(cursor, &key, &row);
        }
    }
    store_cursor_destroy(&cursor); // before its transaction
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static void
on_look(void *arg)
{
    service_t *self = arg;
    service_outbox_t *outbox = &self->outbox;
    uint64_t now_ms = clock_boot_ms();
    if (outbox->next > outbox->acked + 1 && now_ms >= outbox->progress_ms + PATIENCE_MS) {
        outbox->next = outbox->acked + 1;
        outbox->gap = 0;
        outbox->progress_ms = now_ms;
    }
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    if (outbox->deleted < outbox->acked && !self->is_failing &&
        store_begin(self->store, STORE_RESERVE, &txn) == BUS_OK) {
        bus_err_t err = service_outbox_sweep(self, txn);
        if (err == BUS_OK) {
            err = service_read_commit(self, &txn);
        }
        if (err != BUS_OK) {
            store_rollback(&txn);
            service_read_fail(self, err);
        }
    }
    service_outbox_pump(self);
}

static void
see_to_timer(service_t *self)
{
    service_outbox_t *outbox = &self->outbox;
    bool is_needed = outbox->acked < self->committed.pseq || outbox->deleted < outbox->acked;
    if (is_needed && outbox->timer == 0) {
        outbox->timer = loop_add_timer(self->loop, LOOK_MS, 0, on_look, self);
    } else if (!is_needed && outbox->timer != 0) {
        loop_cancel_timer(self->loop, outbox->timer);
        outbox->timer = 0;
    }
}

void
service_outbox_pump(service_t *self)
{
    service_outbox_t *outbox = &self->outbox;
    uint64_t now_ms = clock_boot_ms();
    if (self->knows_outbox && client_is_connected(self->client) && !self->is_failing &&
        now_ms >= outbox->pause_until_ms && outbox->next <= self->committed.pseq &&
        outbox->next <= outbox->acked + WINDOW) {
        if (outbox->next == outbox->acked + 1) {
            outbox->progress_ms = now_ms;
        }
        bus_err_t err = send_rows(self);
        if (err != BUS_OK && err != BUS_BUSY) {
            log_error("outbox_unreadable",
                      "error=%s pseq=%llu",
                      error_text(err),
                      (unsigned long long) outbox->next);
            outbox->pause_until_ms = now_ms + PAUSE_MS;
            outbox->is_stuck = true;
        }
    }
    see_to_timer(self);
}

// --- Hearing -------------------------------------------------------------------------------------

void
service_outbox_catch_up(service_t *self)
{
    const client_outbox_t *where = &self->outbox.where;
    if (self->place.pseq >= where->pseq) {
        return;
    }
    log_info("outbox_rebuilt",
             "counter=%llu journal=%llu cause=%llu",
             (unsigned long long) self->place.pseq,
             (unsigned long long) where->pseq,
             (unsigned long long) where->cause_seq);
    self->place.pseq = where->pseq;
    self->place.skip_seq = where->cause_seq;
    self->place.skip_n = where->cause_n;
    self->committed.pseq = self->place.pseq;
    self->committed.skip_seq = self->place.skip_seq;
    self->committed.skip_n = self->place.skip_n;
}

void
service_outbox_on_hello(void *arg, const client_outbox_t *where)
{
    service_t *self = arg;
    service_outbox_t *outbox = &self->outbox;
    outbox->where = *where;
    service_outbox_catch_up(self);
    if (where->pseq < outbox->acked) {
        log_error("outbox_forgotten",
                  "acked=%llu journal=%llu hint=the_journal_lost_records",
                  (unsigned long long) outbox->acked,
                  (unsigned long long) where->pseq);
    } else {
        outbox->acked = where->pseq;
    }
    outbox->next = outbox->acked + 1;
    outbox->gap = 0;
    outbox->pause_until_ms = 0;
    self->knows_outbox = true;
    service_outbox_pump(self);
    service_read_more(self);
    service_read_check_ready(self);
}

// Sends again from `pseq` on, after a while.
static void
go_back(service_t *self, uint64_t pseq, uint64_t pause_ms)
{
    service_outbox_t *outbox = &self->outbox;
    if (pseq > outbox->acked && pseq < outbox->next) {
        outbox->next = pseq;
        outbox->gap = pseq;
    }
    if (pause_ms > 0) {
        outbox->pause_until_ms = clock_boot_ms() + pause_ms;
    }
}

void
service_outbox_on_ack(void *arg, bus_err_t err, uint64_t pseq)
{
    service_t *self = arg;
    service_outbox_t *outbox = &self->outbox;
    outbox->progress_ms = clock_boot_ms();
    if (err == BUS_OK) {
        outbox->acked = pseq > outbox->acked ? pseq : outbox->acked;
        outbox->next = outbox->next <= outbox->acked ? outbox->acked + 1 : outbox->next;
        outbox->gap = pseq >= outbox->gap ? 0 : outbox->gap;
        outbox->is_stuck = false;
    } else if (err == BUS_PSEQ_GAP) {
        go_back(self, pseq == outbox->gap ? 0 : pseq, 0);
    } else if (err == BUS_BUSY) {
        go_back(self, pseq, PAUSE_BUSY_MS);
    } else {
        if (!outbox->is_stuck) {
            log_error("outbox_refused",
                      "error=%s pseq=%llu hint=tried_again_each_second",
                      error_text(err),
                      (unsigned long long) pseq);
        }
        outbox->is_stuck = true;
        go_back(self, pseq, PAUSE_MS);
    }
    service_outbox_pump(self);
}

// --- Deleting ------------------------------------------------------------------------------------

bus_err_t
service_outbox_sweep(service_t *self, store_txn_t *txn)
{
    service_outbox_t *outbox = &self->outbox;
    unsigned table = service_store_outbox_table(self);
    for (unsigned i = 0; i < SWEEP_MAX && outbox->deleted < outbox->acked; i++) {
        BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
        bus_view_t key, row;
        uint64_t pseq = UINT64_MAX;
        bus_err_t err = store_cursor_open(txn, table, &cursor);
        if (err == BUS_OK) {
            err = store_first(cursor, &key, &row);
        }
        store_cursor_destroy(&cursor);
        if (err == BUS_OK) {
            assert(key.size == sizeof(pseq));
            memcpy(&pseq, key.data, sizeof(pseq));
        } else if (err != BUS_NOT_FOUND) {
            return err;
        }
        if (pseq > outbox->acked) {
            outbox->deleted = outbox->acked;
            return BUS_OK;
        }
        err = store_del(txn, table, STORE_U64(pseq));
        if (err != BUS_OK) {
            return err;
        }
    }
    return BUS_OK;
}
