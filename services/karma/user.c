// user.c - a user's ledger to and from its record.
#include "user.h"
#include "proto/walk.h"
#include "runtime/id.h"
#include "tables.h"
#include <assert.h>
#include <openssl/evp.h>

enum { RECORD_VERSION = 1, RECORD_FIELDS = 9, HASH_BYTES = 32 };

void
karma_user_encode(const karma_ledger_t *ledger, pack_t *out)
{
    pack_array(out, RECORD_FIELDS);
    pack_int(out, RECORD_VERSION);
    pack_uint(out, ledger->created_at);
    pack_uint(out, ledger->decayed_at);
    pack_uint(out, ledger->actions);
    pack_uint(out, ledger->ladder);
    pack_str(out, karma_ledger_word_view(&ledger->role));
    pack_str(out, karma_ledger_word_view(&ledger->called));
    pack_array(out, KARMA_BALANCE_COUNT);
    for (size_t i = 0; i < KARMA_BALANCE_COUNT; i++) {
        pack_real(out, ledger->balance[i]);
    }
    pack_array(out, (uint32_t) ledger->cheat_count);
    for (size_t i = 0; i < ledger->cheat_count; i++) {
        pack_uint(out, ledger->cheat[i]);
    }
}

// Reading a record: the first thing that does not fit makes `bad` true, and what is read from then
// on is nothing.
typedef struct {
    walk_t walk;
    bool bad;
} reader_t;

static uint64_t
read_uint(reader_t *self)
{
    walk_item_t item;
    if (walk_next(&self->walk, &item) != BUS_OK || item.type != WALK_INT || item.integer < 0) {
        self->bad = true;
        return 0;
    }
    return (uint64_t) item.integer;
}

static double
read_real(reader_t *self)
{
    walk_item_t item;
    if (walk_next(&self->walk, &item) != BUS_OK || item.type != WALK_FLOAT) {
        self->bad = true;
        return 0.0;
    }
    return item.real;
}

static karma_word_t
read_word(reader_t *self)
{
    walk_item_t item;
    if (walk_next(&self->walk, &item) != BUS_OK || item.type != WALK_STR || item.bytes.size == 0 ||
        item.bytes.size > KARMA_WORD_MAX) {
        self->bad = true;
        return (karma_word_t){.size = 0};
    }
    return karma_ledger_word(item.bytes);
}

static uint32_t
read_count(reader_t *self, uint32_t count_max)
{
    walk_item_t item;
    if (walk_next(&self->walk, &item) != BUS_OK || item.type != WALK_ARRAY ||
        item.count > count_max) {
        self->bad = true;
        return 0;
    }
    return item.count;
}

bus_err_t
karma_user_decode(bus_view_t record, karma_ledger_t *ret_ledger)
{
    reader_t reader = {.walk = walk_from(record)};
    if (read_count(&reader, RECORD_FIELDS) != RECORD_FIELDS ||
        read_uint(&reader) != RECORD_VERSION) {
        return BUS_CORRUPT;
    }
    *ret_ledger = (karma_ledger_t){.created_at = read_uint(&reader)};
    ret_ledger->decayed_at = read_uint(&reader);
    ret_ledger->actions = read_uint(&reader);
    uint64_t ladder = read_uint(&reader);
    ret_ledger->role = read_word(&reader);
    ret_ledger->called = read_word(&reader);
    uint32_t balances = read_count(&reader, KARMA_BALANCE_COUNT);
    for (uint32_t i = 0; i < balances; i++) {
        ret_ledger->balance[i] = read_real(&reader);
    }
    ret_ledger->cheat_count = read_count(&reader, KARMA_CHEATS_MAX);
    for (size_t i = 0; i < ret_ledger->cheat_count; i++) {
        ret_ledger->cheat[i] = read_uint(&reader);
    }
    if (reader.bad || ladder >= KARMA_ROLE_COUNT || reader.walk.at != reader.walk.end) {
        return BUS_CORRUPT;
    }
    ret_ledger->ladder = (unsigned) ladder;
    return BUS_OK;
}

bus_err_t
karma_user_load(store_txn_t *txn, bus_view_t user_id, karma_ledger_t *ret_ledger)
{
    assert(user_id.size >= 1 && user_id.size <= KARMA_USER_ID_MAX);
    bus_view_t record;
    bus_err_t err = store_get(txn, KARMA_USERS, user_id, &record);
    return err == BUS_OK ? karma_user_decode(record, ret_ledger) : err;
}

bus_err_t
karma_user_save(store_txn_t *txn, bus_view_t user_id, const karma_ledger_t *ledger, pack_t *scratch)
{
    pack_clear(scratch);
    karma_user_encode(ledger, scratch);
    return store_put(txn, KARMA_USERS, user_id, pack_view(scratch));
}

void
karma_user_hash(const karma_ledger_t *ledger, char ret_hex[KARMA_HASH_SIZE])
{
    BUS_AUTO(pack_destroy) pack_t *record = pack_new();
    karma_user_encode(ledger, record);
    bus_view_t bytes = pack_view(record);
    unsigned char hash[HASH_BYTES];
    unsigned size = 0;
    int done = EVP_Digest(bytes.data, bytes.size, hash, &size, EVP_sha256(), NULL);
    assert(done == 1 && size == HASH_BYTES); // fails only where OpenSSL was built without SHA-256
    id_hex(hash, sizeof hash, ret_hex);
}
