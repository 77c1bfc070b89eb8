// service_read.c - the journal, page by page; a page is a batch, a batch is a transaction.
//
// The next page is asked for before this one is applied, so that the broker reads while we write.
// What is asked for is told by its first seq: a page that does not begin at our cursor (the one
// before it was undone) is dropped. `ack` trails by a commit: a power cut can take the last one.
//
// A commit costs the same for one record as for hundreds, and takes the disk and the processor from
// those who publish. So where records come fast, nobody waits for an answer to them, and we have
// all there are, we pause before asking for more: docs/adr/0007-services-read-in-pages.md.
#include "clock.h"
#include "log.h"
#include "service_self.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum {
    PAGE_RECORDS_MAX = 2000,             // of one transaction
    PAGE_BYTES_MAX = 1024 * 1024,        // of one page, unless one record is larger
    PAGE_WAIT_MS = 5000,                 // parked at the broker when there is nothing
    RETRY_MS = 1000,                     // after a batch was undone, or a fetch refused
    EFFECTS_BYTES_MAX = 8 * 1024 * 1024, // answers of one batch: beyond it commits early
    EXPIRE_FACTOR = 2,                   // forgets faster than it learns
    EXPIRE_MIN = 64,
    PAUSE_RECORDS = 32, // a page of fewer costs little, however many there are
    PAUSE_MS = 25,      // what a reader of our state is behind at most under load
    ALIAS_MS = 1000,    // `ready` waits for the alias's hello no longer
};

static void on_page(void *arg, const client_page_t *page);

static void
fetch(service_t *self, uint64_t from)
{
    client_fetch_t fetch = {
        .consumer = self->consumer,
        .filters = self->filters,
        .filter_count = self->filter_count,
        .from = from,
        .ack = self->options->rebuild ? 0 : self->durable, // 0: the broker keeps nothing for us
        .max = PAGE_RECORDS_MAX,
        .max_bytes = PAGE_BYTES_MAX,
        .wait_ms = from <= client_head(self->client) ? 0 : PAGE_WAIT_MS,
    };
    if (client_fetch(self->client, &fetch, on_page, self) == BUS_OK) {
        self->fetch_from = from;
    }
}

void
service_read_more(service_t *self)
{
    if (self->knows_outbox && !self->is_failing && !self->is_pausing && self->status == 0) {
        fetch(self, self->committed.cursor);
    }
}

// Tells the service that the last batch was undone.
static void
tell_undone(service_t *self)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    if (self->definition->undone != NULL && store_begin(self->store, STORE_READ, &txn) == BUS_OK) {
        self->definition->undone(self->state, txn);
    }
}

static void on_retry(void *arg);

static void
retry_later(service_t *self)
{
    (void) loop_add_timer(self->loop, RETRY_MS, 1, on_retry, self);
}

// Closes the store that failed and opens it again. A disk that cannot flush yet leaves it open for
// reading, and failed: what it holds is served, and it is opened once more in a while.
static bus_err_t
open_again(service_t *self)
{
    store_destroy(&self->store);
    bus_err_t err = service_store_open(self);
    if (err == BUS_OK || (self->store != NULL && store_is_failed(self->store))) {
        service_outbox_catch_up(self);
        tell_undone(self);
        return err;
    }
    log_error("store_lost", "error=%s", error_text(err));
    service_stop(self, EX_IOERR);
    return err;
}

static void
on_retry(void *arg)
{
    service_t *self = arg;
    if (self->is_failing && store_is_failed(self->store) && open_again(self) != BUS_OK) {
        if (self->status == 0) {
            retry_later(self);
        }
        return;
    }
    self->is_failing = false;
    service_read_more(self);
}

// --- Batches -------------------------------------------------------------------------------------

bus_err_t
service_read_commit(service_t *self, store_txn_t **txn_p)
{
    bus_err_t err = BUS_OK;
    if (self->definition->save != NULL) {
        err = self->definition->save(self->state, *txn_p);
    }
    return err == BUS_OK ? store_commit(txn_p) : err;
}

// The last record to apply.
static uint64_t
last_wanted(const service_t *self)
{
    return self->options->rebuild ? self->goal : UINT64_MAX;
}

// Applies records until the page ends or enough answers wait for the commit.
static bus_err_t
apply_records(service_t *self, store_txn_t *txn, client_records_t *records, uint64_t next)
{
    while (records->left > 0 && pack_view(self->effects).size < EFFECTS_BYTES_MAX) {
        client_heard_t record;
        uint32_t left = records->left;
        bus_err_t err = client_next_record(records, &record);
        if (err != BUS_OK && records->left == left) {
            return BUS_CORRUPT; // the page itself is broken
        }
        if (err != BUS_OK || record.header.seq < self->place.cursor) {
            log_error("record_unreadable", "behind=%llu", (unsigned long long) self->place.cursor);
            continue;
        }
        if (record.header.seq > last_wanted(self)) {
            records->left = 0;
            break;
        }
        self->place.cursor = record.header.seq + 1;
        self->place.at = record.header.at;
        err = service_apply_record(self, txn, &record);
        if (err != BUS_OK) {
            return err;
        }
    }
    if (records->left == 0) {
        self->place.cursor = next <= last_wanted(self) ? next : last_wanted(self) + 1;
    }
    return BUS_OK;
}

static bus_err_t
commit_batch(service_t *self, client_records_t *records, uint64_t next)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    uint32_t before = records->left;
    bus_err_t err = store_begin(self->store, STORE_WRITE, &txn);
    if (err == BUS_OK) {
        err = apply_records(self, txn, records, next);
    }
    if (err == BUS_OK) {
        err =
            service_store_expire(self, txn, EXPIRE_FACTOR * (before - records->left) + EXPIRE_MIN);
    }
    if (err == BUS_OK) {
        err = service_outbox_sweep(self, txn);
    }
    if (err == BUS_OK) {
        err = service_store_put_place(self, txn);
    }
    return err == BUS_OK ? service_read_commit(self, &txn) : err;
}

// Nothing of the batch has happened.
void
service_read_fail(service_t *self, bus_err_t why)
{
    log_error("batch_undone",
              "error=%s cursor=%llu",
              error_text(why),
              (unsigned long long) self->committed.cursor);
    self->place = self->committed;
    pack_clear(self->effects);
    self->effect_count = 0;
    self->is_failing = true;
    client_fetch_cancel(self->client);
    tell_undone(self);
    if (self->options->rebuild) {
        service_stop(self, EX_IOERR); // nobody would look at it while it tries again
        return;
    }
    retry_later(self);
}

static void
apply_page(service_t *self, const client_page_t *page)
{
    client_records_t records = client_records(page);
    do {
        bus_err_t err = commit_batch(self, &records, page->next);
        if (err != BUS_OK) {
            service_read_fail(self, err);
            return;
        }
        self->durable = self->committed.cursor;
        self->committed = self->place;
        self->needs_sync = true;
        service_apply_release(self);
        service_act_look(self);
    } while (records.left > 0);
    service_outbox_pump(self);
}

// --- Pages ---------------------------------------------------------------------------------------

static bool
is_other_epoch(service_t *self, bus_view_t epoch)
{
    if (self->epoch[0] == '\0' || view_is(epoch, self->epoch)) {
        return false;
    }
    log_error("epoch_changed", "store=%s hint=this_is_another_journal", self->epoch);
    service_stop(self, EX_CONFIG);
    return true;
}

static void
on_page_error(service_t *self, bus_err_t err)
{
    if (err == BUS_TRIMMED || err == BUS_AHEAD) {
        log_error("journal_does_not_fit",
                  "error=%s cursor=%llu hint=%s",
                  error_text(err),
                  (unsigned long long) self->committed.cursor,
                  err == BUS_TRIMMED ? "restore_a_snapshot" : "the_journal_lost_records");
        service_stop(self, EX_CONFIG);
        return;
    }
    if (self->options->rebuild && err == BUS_CORRUPT) {
        log_error("journal_damaged", "cursor=%llu", (unsigned long long) self->committed.cursor);
        service_stop(self, EX_IOERR);
        return;
    }
    log_warning("fetch_refused", "error=%s", error_text(err));
    retry_later(self);
}

static void
on_pause_end(void *arg)
{
    service_t *self = arg;
    self->is_pausing = false;
    service_read_more(self);
}

// Lets more records come together for the next page.
static void
pause_reading(service_t *self)
{
    self->is_pausing = true;
    (void) loop_add_timer(self->loop, PAUSE_MS, 1, on_pause_end, self);
}

static void
on_page(void *arg, const client_page_t *page)
{
    service_t *self = arg;
    if (page->err == BUS_ABORTED || self->is_failing || self->status != 0) {
        return;
    }
    if (page->err != BUS_OK) {
        on_page_error(self, page->err);
        return;
    }
    if (is_other_epoch(self, page->epoch)) {
        return;
    }
    if (self->fetch_from != self->committed.cursor || page->next < self->committed.cursor) {
        service_read_more(self);
        return;
    }
    bool may_pause =
        page->count >= PAUSE_RECORDS && page->next > page->head && !self->definition->prompt;
    if (page->count > 0 && !may_pause) {
        fetch(self, page->next);
    }
    self->is_awaited = false;
    if (page->next != self->committed.cursor) {
        apply_page(self, page);
    }
    self->is_current = page->next > page->head && self->committed.cursor == page->next;
    if (may_pause && !self->is_awaited) {
        pause_reading(self);
    }
    if (self->options->rebuild) {
        service_rebuild_check(self);
    }
    service_read_more(self); // busy where the next page is on its way
    service_read_check_ready(self);
    service_tick_look(self);
}

void
service_read_on_welcome(void *arg, const client_welcome_t *welcome)
{
    service_t *self = arg;
    self->is_current = self->committed.cursor == welcome->head + 1;
    if (is_other_epoch(self, view_from_text(welcome->epoch))) {
        return;
    }
    if (self->epoch[0] == '\0') {
        BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
        bus_err_t err = store_begin(self->store, STORE_RESERVE, &txn);
        if (err == BUS_OK) {
            err = service_store_put_epoch(self, txn, view_from_text(welcome->epoch));
        }
        if (err == BUS_OK) {
            err = store_commit(&txn);
        }
        if (err != BUS_OK) {
            log_error("epoch_not_kept", "error=%s", error_text(err));
            service_stop(self, EX_IOERR);
            return;
        }
        snprintf(self->epoch, sizeof(self->epoch), "%s", welcome->epoch);
    }
    if (strcmp(self->boot, welcome->boot) != 0) {
        snprintf(self->boot, sizeof(self->boot), "%s", welcome->boot);
        self->live_after = welcome->head;
        self->knows_ahead = false; // its clock has another anchor
    }
    if (!self->knows_goal) {
        self->knows_goal = true;
        self->goal = welcome->head;
    }
}

// Whether the broker hands us the questions that are asked by our second name. The two hellos go
// out side by side, so it is not waited for; it waits no longer than anybody would.
static bool
is_heard(const service_t *self)
{
    return self->alias.client == NULL || self->alias.is_known ||
           clock_boot_ms() >= self->start_ms + ALIAS_MS;
}

void
service_read_check_ready(service_t *self)
{
    // A store that is ahead of the journal has caught up with nothing: its fetch will say so.
    bool has_caught_up = self->knows_goal && self->committed.cursor > self->goal &&
                         self->committed.cursor <= client_head(self->client) + 1;
    if (self->is_settled || self->options->rebuild || !has_caught_up || !self->knows_outbox ||
        !is_heard(self) || !service_config_is_applied(self)) {
        return;
    }
    log_info("caught_up", "cursor=%llu", (unsigned long long) self->committed.cursor);
    self->is_settled = true;
    service_act_look(self);
    if (!self->is_ready) { // without a broker it was said before
        service_ready(self);
    }
}
