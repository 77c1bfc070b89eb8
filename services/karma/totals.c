// totals.c - counts over all users, in one record: [version, and the fields in their order].
#include "totals.h"
#include "record.h"
#include "tables.h"

enum { RECORD_VERSION = 1, RECORD_FIELDS = 8 };

#define RECORD_KEY VIEW_LITERAL("totals")

bus_err_t
karma_totals_load(store_txn_t *txn, karma_totals_t *ret_self)
{
    bus_view_t bytes;
    bus_err_t err = store_get(txn, KARMA_TOTALS, RECORD_KEY, &bytes);
    if (err == BUS_NOT_FOUND) {
        *ret_self = (karma_totals_t){.events = 0};
        return BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    karma_record_t record = karma_record_begin(bytes);
    karma_totals_t totals = {.events = 0};
    bool is_ours = karma_record_count(&record, RECORD_FIELDS) == RECORD_FIELDS &&
                   karma_record_uint(&record) == RECORD_VERSION;
    totals.events = karma_record_uint(&record);
    totals.actions = karma_record_uint(&record);
    totals.appeals = karma_record_uint(&record);
    totals.atoned = karma_record_uint(&record);
    totals.redemptions = karma_record_uint(&record);
    totals.deaths = karma_record_uint(&record);
    totals.last_at = karma_record_uint(&record);
    if (!is_ours || !karma_record_is_whole(&record)) {
        return BUS_CORRUPT;
    }
    *ret_self = totals;
    return BUS_OK;
}

bus_err_t
karma_totals_save(store_txn_t *txn, const karma_totals_t *self, pack_t *scratch)
{
    pack_clear(scratch);
    pack_array(scratch, RECORD_FIELDS);
    pack_int(scratch, RECORD_VERSION);
    pack_uint(scratch, self->events);
    pack_uint(scratch, self->actions);
    pack_uint(scratch, self->appeals);
    pack_uint(scratch, self->atoned);
    pack_uint(scratch, self->redemptions);
    pack_uint(scratch, self->deaths);
    pack_uint(scratch, self->last_at);
    return store_put(txn, KARMA_TOTALS, RECORD_KEY, pack_view(scratch));
}
