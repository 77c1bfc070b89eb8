// governance_store.c - what the kernel governance keeps. See governance_store.h.
#include "governance_store.h"

#include <assert.h>

enum { NAME_MAX = 64 }; // bytes of an intent's or a rule's name: the schema's limit

const store_table_t kernel_governance_tables[KERNEL_GOVERNANCE_TABLE_COUNT] = {
    [KERNEL_GOVERNANCE_VERDICTS] = {"verdicts", STORE_KEYS_UINT64, true, "intent's seq -> verdict"},
    [KERNEL_GOVERNANCE_OPEN] = {"open", STORE_KEYS_UINT64, true, "intent's seq -> its name"},
    [KERNEL_GOVERNANCE_COUNTS] = {"counts", STORE_KEYS_BYTES, true, "open by intent, by rule"},
    [KERNEL_GOVERNANCE_GATE] = {"gate", STORE_KEYS_BYTES, true, "whether intents wait"},
};

typedef struct {
    char bytes[1 + NAME_MAX];
} count_key_t;

static bus_view_t
make_key(kernel_governance_count_t kind, bus_view_t name, count_key_t *ret_key)
{
    assert(name.size <= NAME_MAX);
    ret_key->bytes[0] = (char) kind;
    if (name.size > 0) {
        memcpy(ret_key->bytes + 1, name.data, name.size);
    }
    return view_from(ret_key->bytes, 1 + name.size);
}

bus_err_t
kernel_governance_store_count(store_txn_t *txn,
                              kernel_governance_count_t kind,
                              bus_view_t name,
                              uint64_t *ret_count)
{
    count_key_t key;
    bus_view_t value;
    *ret_count = 0;
    bus_err_t err = store_get(txn, KERNEL_GOVERNANCE_COUNTS, make_key(kind, name, &key), &value);
    if (err == BUS_OK && value.size == sizeof *ret_count) {
        memcpy(ret_count, value.data, sizeof *ret_count);
    }
    return store_forgive(err);
}

static bus_err_t
add_count(store_txn_t *txn, kernel_governance_count_t kind, bus_view_t name, int by)
{
    count_key_t key;
    uint64_t count;
    bus_err_t err = kernel_governance_store_count(txn, kind, name, &count);
    if (err != BUS_OK) {
        return err;
    }
    count = by > 0 ? count + 1 : count - (count > 0 ? 1 : 0);
    return store_put(
        txn, KERNEL_GOVERNANCE_COUNTS, make_key(kind, name, &key), view_from(&count, sizeof count));
}

static bus_err_t
forget_oldest(store_txn_t *txn)
{
    uint64_t count;
    bus_err_t err = store_count(txn, KERNEL_GOVERNANCE_VERDICTS, &count);
    if (err != BUS_OK || count <= KERNEL_GOVERNANCE_VERDICTS_MAX) {
        return err;
    }
    uint64_t oldest;
    err = store_lowest(txn, KERNEL_GOVERNANCE_VERDICTS, &oldest);
    if (err == BUS_OK) {
        err = store_del(txn, KERNEL_GOVERNANCE_VERDICTS, STORE_U64(oldest));
    }
    return store_forgive(err);
}

bus_err_t
kernel_governance_store_put(store_txn_t *txn, const schema_governance_kept_t *kept)
{
    uint64_t seq = (uint64_t) kept->intent_seq.value;
    BUS_AUTO(pack_destroy) pack_t *row = pack_new();
    schema_encode(&SCHEMA_governance_kept, kept, row);
    bus_err_t err = store_put(txn, KERNEL_GOVERNANCE_VERDICTS, STORE_U64(seq), pack_view(row));
    if (err == BUS_OK) {
        err = forget_oldest(txn);
    }
    if (err == BUS_OK) {
        err = add_count(txn, KERNEL_GOVERNANCE_COUNT_DECIDED, kept->rule, 1);
    }
    if (err == BUS_OK && kept->allowed.value) {
        err = store_put(txn, KERNEL_GOVERNANCE_OPEN, STORE_U64(seq), kept->intent);
        if (err == BUS_OK) {
            err = add_count(txn, KERNEL_GOVERNANCE_COUNT_OPEN, kept->intent, 1);
        }
    }
    return err;
}

bus_err_t
kernel_governance_store_close(store_txn_t *txn, uint64_t seq)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, KERNEL_GOVERNANCE_OPEN, STORE_U64(seq), &value);
    if (err != BUS_OK && err != BUS_CORRUPT) {
        return store_forgive(err);
    }
    char name[NAME_MAX];
    size_t size = err == BUS_OK && value.size <= sizeof name ? value.size : 0;
    if (size > 0) {
        memcpy(name, value.data, size); // the view dies with the next write
    }
    err = store_del(txn, KERNEL_GOVERNANCE_OPEN, STORE_U64(seq));
    if (err == BUS_OK && size > 0) {
        err = add_count(txn, KERNEL_GOVERNANCE_COUNT_OPEN, view_from(name, size), -1);
    }
    return store_forgive(err);
}
