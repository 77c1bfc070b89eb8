// threats.c - the ten threats, and how often each was met.
#include "threats.h"

#include <assert.h>

#define THREAT(number, id, name, severity, also) {number, id, name, severity, also},
const bucket_threats_row_t bucket_threats_rows[BUCKET_THREATS_COUNT] = {
#include "threats.def"
};

const bucket_threats_row_t *
bucket_threats_row(unsigned threat)
{
    assert(threat >= 1 && threat <= BUCKET_THREATS_COUNT);
    return &bucket_threats_rows[threat - 1];
}

bus_err_t
bucket_threats_get(store_txn_t *txn, unsigned threat, bucket_threats_count_t *ret_count)
{
    const bucket_threats_row_t *row = bucket_threats_row(threat);
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_THREATS, view_from_text(row->id), &value);
    if (err == BUS_NOT_FOUND) {
        *ret_count = (bucket_threats_count_t){0};
        return BUS_OK;
    }
    if (err == BUS_OK && value.size != sizeof *ret_count) {
        err = BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_count, value.data, sizeof *ret_count);
    }
    return err;
}

bus_err_t
bucket_threats_add(store_txn_t *txn, unsigned threat, uint64_t at)
{
    bucket_threats_count_t count;
    bus_err_t err = bucket_threats_get(txn, threat, &count);
    if (err == BUS_CORRUPT) {
        count = (bucket_threats_count_t){0}; // a damaged counter begins anew: it stops nothing
        err = BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    count.blocked++;
    count.last = at;
    const char *id = bucket_threats_row(threat)->id;
    return store_put(txn, BUCKET_THREATS, view_from_text(id), view_from(&count, sizeof count));
}
