// sum.c - sums by hour and by week. A record is [version, count, dharma, seva, paap, punya].
#include "sum.h"
#include "record.h"
#include "tables.h"

#define US_AN_HOUR UINT64_C(3600000000)
#define US_A_DAY (24 * US_AN_HOUR)

enum {
    RECORD_VERSION = 1,
    RECORD_FIELDS = 6,
    DAYS_A_WEEK = 7,
    FIRST_DAY = 3 // 1970-01-01 was a Thursday: so many days after its week's Monday
};

void
karma_sum_pay(karma_sum_t *self, karma_balance_t balance, double amount)
{
    if (balance == KARMA_BALANCE_DHARMA) {
        self->dharma = self->dharma + amount;
    } else if (balance == KARMA_BALANCE_SEVA) {
        self->seva = self->seva + amount;
    } else if (balance == KARMA_BALANCE_PUNYA) {
        self->punya = self->punya + amount;
    } else if (balance < KARMA_BALANCE_COUNT && karma_rules.balances[balance].paap != 0.0) {
        self->paap = self->paap + amount;
    }
}

void
karma_sum_add(karma_sum_t *self, const karma_sum_t *more)
{
    self->count += more->count;
    self->dharma = self->dharma + more->dharma;
    self->seva = self->seva + more->seva;
    self->paap = self->paap + more->paap;
    self->punya = self->punya + more->punya;
}

uint64_t
karma_sum_hour(uint64_t at)
{
    return at / US_AN_HOUR;
}

uint64_t
karma_sum_week(uint64_t at)
{
    return (at / US_A_DAY + FIRST_DAY) / DAYS_A_WEEK;
}

uint64_t
karma_sum_week_start(uint64_t week)
{
    uint64_t day = week * DAYS_A_WEEK;
    return day < FIRST_DAY ? 0 : (day - FIRST_DAY) * US_A_DAY;
}

bus_err_t
karma_sum_load(store_txn_t *txn, unsigned table, uint64_t number, karma_sum_t *ret_self)
{
    bus_view_t bytes;
    bus_err_t err = store_get(txn, table, STORE_U64(number), &bytes);
    if (err == BUS_NOT_FOUND) {
        *ret_self = (karma_sum_t){.count = 0};
        return BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    karma_record_t record = karma_record_begin(bytes);
    karma_sum_t sum = {.count = 0};
    bool is_ours = karma_record_count(&record, RECORD_FIELDS) == RECORD_FIELDS &&
                   karma_record_uint(&record) == RECORD_VERSION;
    sum.count = karma_record_uint(&record);
    sum.dharma = karma_record_real(&record);
    sum.seva = karma_record_real(&record);
    sum.paap = karma_record_real(&record);
    sum.punya = karma_record_real(&record);
    if (!is_ours || !karma_record_is_whole(&record)) {
        return BUS_CORRUPT;
    }
    *ret_self = sum;
    return BUS_OK;
}

static bus_err_t
add_to(store_txn_t *txn, unsigned table, uint64_t number, const karma_sum_t *more, pack_t *scratch)
{
    karma_sum_t sum;
    bus_err_t err = karma_sum_load(txn, table, number, &sum);
    if (err != BUS_OK) {
        return err == BUS_CORRUPT ? BUS_OK : err; // it stays damaged
    }
    karma_sum_add(&sum, more);
    pack_clear(scratch);
    pack_array(scratch, RECORD_FIELDS);
    pack_int(scratch, RECORD_VERSION);
    pack_uint(scratch, sum.count);
    pack_real(scratch, sum.dharma);
    pack_real(scratch, sum.seva);
    pack_real(scratch, sum.paap);
    pack_real(scratch, sum.punya);
    return store_put(txn, table, STORE_U64(number), pack_view(scratch));
}

bus_err_t
karma_sum_save(store_txn_t *txn, uint64_t at, const karma_sum_t *more, pack_t *scratch)
{
    bus_err_t err = add_to(txn, KARMA_HOURS, karma_sum_hour(at), more, scratch);
    return err == BUS_OK ? add_to(txn, KARMA_WEEKS, karma_sum_week(at), more, scratch) : err;
}
