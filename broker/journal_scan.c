// journal_scan.c - the reader's side: a cursor over one snapshot, and prefixes against each
// record's topic, which stands at its front.
#include "journal_scan.h"
#include "journal_inner.h"
#include "proto/topic.h"
#include "record.h"
#include <assert.h>

// One snapshot being read.
typedef struct {
    store_txn_t *txn;
    store_cursor_t *cursor;
    journal_state_t state; // as of the snapshot
} snapshot_t;

static void
snapshot_clear(snapshot_t *self)
{
    store_cursor_destroy(&self->cursor);
    store_rollback(&self->txn);
}

static bus_err_t
snapshot_init(snapshot_t *self, journal_t *journal)
{
    if (journal->store == NULL) {
        return BUS_IO;
    }
    bus_err_t err = store_begin(journal->store, STORE_READ, &self->txn);
    if (err == BUS_OK) {
        err = journal_inner_get_state(self->txn, &self->state);
    }
    if (err == BUS_OK) {
        err = store_cursor_open(self->txn, TABLE_LOG, &self->cursor);
    }
    return err;
}

// The record `seq`, where `is_first` by seeking, else as the next one.
static bus_err_t
snapshot_read(snapshot_t *self, uint64_t seq, bool is_first, bus_view_t *ret_value)
{
    bus_view_t key;
    bus_err_t err = is_first ? store_seek(self->cursor, STORE_U64(seq), &key, ret_value)
                             : store_next(self->cursor, &key, ret_value);
    if (err == BUS_NOT_FOUND) {
        return BUS_CORRUPT; // the state says that it is there
    }
    if (err != BUS_OK) {
        return err;
    }
    uint64_t found;
    memcpy(&found, key.data, sizeof(found));
    return found == seq ? BUS_OK : BUS_CORRUPT;
}

static bool
matches(const journal_scan_t *scan, bus_view_t topic)
{
    if (scan->filter_count == 0) {
        return true;
    }
    for (size_t i = 0; i < scan->filter_count; i++) {
        if (view_starts(topic, scan->filters[i])) {
            return true;
        }
    }
    return false;
}

// Where one scan is.
typedef struct {
    const journal_scan_t *scan;
    uint64_t head;  // not beyond
    uint64_t bytes; // taken
    pack_t *out;
    journal_page_t *page;
} progress_t;

// Takes the record where it matches, and steps behind it. False: the page is full.
static bool
take(progress_t *self, bus_view_t value)
{
    const journal_scan_t *scan = self->scan;
    journal_page_t *page = self->page;
    bool is_wanted =
        matches(scan, record_topic(value)) &&
        (scan->trace_id.data == NULL || view_equal(record_trace_id(value), scan->trace_id));
    if (is_wanted) {
        bus_view_t message = record_message(value);
        self->bytes += message.size;
        if (page->count > 0 && self->bytes > scan->max_bytes) {
            return false;
        }
        pack_raw(self->out, message);
        page->count++;
    }
    page->next++;
    return page->count == 0 || page->count < scan->max;
}

static bus_err_t
scan_all(snapshot_t *snapshot, progress_t *progress)
{
    journal_page_t *page = progress->page;
    bool goes_on = true;
    for (uint32_t looked = 0;
         goes_on && page->next <= progress->head && looked < progress->scan->scan_max;
         looked++) {
        bus_view_t value;
        bus_err_t err = snapshot_read(snapshot, page->next, looked == 0, &value);
        if (err != BUS_OK) {
            return err;
        }
        goes_on = take(progress, value);
    }
    return BUS_OK;
}

static bus_err_t
scan_trace(snapshot_t *snapshot, progress_t *progress)
{
    journal_page_t *page = progress->page;
    uint32_t steps = progress->scan->scan_max;
    journal_trace_search_t search;
    journal_trace_search(&search, snapshot->txn, progress->scan->trace_id);
    bool goes_on = true;
    while (goes_on && page->next <= progress->head) {
        bus_view_t value;
        bus_err_t err =
            journal_trace_next(&search, page->next, progress->head, &steps, &page->next);
        if (err != BUS_OK || page->next > progress->head || steps == 0) {
            return err;
        }
        steps--;
        err = snapshot_read(snapshot, page->next, true, &value);
        if (err != BUS_OK) {
            return err;
        }
        goes_on = take(progress, value);
    }
    return BUS_OK;
}

static bus_err_t
scan_snapshot(snapshot_t *snapshot, const journal_scan_t *scan, pack_t *out, journal_page_t *page)
{
    const journal_state_t *state = &snapshot->state;
    uint64_t from = scan->from == 0 ? state->first : scan->from;
    *page = (journal_page_t){.first = state->first, .next = from};
    if (from < state->first) {
        return BUS_TRIMMED;
    }
    if (from > state->head + 1) {
        return BUS_AHEAD;
    }
    progress_t progress = {.scan = scan,
                           .head = scan->head < state->head ? scan->head : state->head,
                           .out = out,
                           .page = page};
    return scan->trace_id.data == NULL ? scan_all(snapshot, &progress)
                                       : scan_trace(snapshot, &progress);
}

bus_err_t
journal_scan(journal_t *self, const journal_scan_t *scan, pack_t *out, journal_page_t *ret_page)
{
    assert(scan->scan_max > 0);
    *ret_page = (journal_page_t){.next = scan->from};
    pthread_rwlock_rdlock(&self->store_lock);
    snapshot_t snapshot = {.txn = NULL};
    bus_err_t err = snapshot_init(&snapshot, self);
    if (err == BUS_OK) {
        err = scan_snapshot(&snapshot, scan, out, ret_page);
    }
    snapshot_clear(&snapshot);
    pthread_rwlock_unlock(&self->store_lock);
    return err == BUS_NOT_FOUND ? BUS_CORRUPT : err;
}

static bus_err_t
see_families(snapshot_t *snapshot, uint64_t from, uint64_t head, uint64_t *mask)
{
    if (from < snapshot->state.first || head > snapshot->state.head) {
        return BUS_TRIMMED;
    }
    for (uint64_t seq = from; seq <= head; seq++) {
        bus_view_t value;
        bus_err_t err = snapshot_read(snapshot, seq, seq == from, &value);
        if (err != BUS_OK) {
            return err;
        }
        uint32_t family = topic_family(record_topic(value));
        *mask |= family < JOURNAL_FAMILIES_MAX ? (uint64_t) 1 << family : UINT64_MAX;
    }
    return BUS_OK;
}

uint64_t
journal_scan_families(journal_t *self, uint64_t from, uint64_t head)
{
    uint64_t mask = 0;
    pthread_rwlock_rdlock(&self->store_lock);
    snapshot_t snapshot = {.txn = NULL};
    bus_err_t err = snapshot_init(&snapshot, self);
    if (err == BUS_OK) {
        err = see_families(&snapshot, from, head, &mask);
    }
    snapshot_clear(&snapshot);
    pthread_rwlock_unlock(&self->store_lock);
    return err == BUS_OK ? mask : UINT64_MAX;
}

uint64_t
journal_scan_filter_families(bus_view_t filter)
{
    uint64_t mask = 0;
    for (uint32_t family = 0; family < topic_family_count(); family++) {
        bus_view_t token = view_from_text(topic_family_text(family));
        size_t size = filter.size < token.size ? filter.size : token.size;
        bool is_prefix = size == 0 || memcmp(filter.data, token.data, size) == 0;
        if (is_prefix && (filter.size <= token.size || filter.data[token.size] == '.')) {
            mask |= (uint64_t) 1 << family;
        }
    }
    return mask;
}
