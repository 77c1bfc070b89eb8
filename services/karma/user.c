// user.c - a user's ledger to and from its record.
#include "user.h"
#include "record.h"
#include "runtime/sha256.h"
#include "tables.h"
#include <assert.h>

enum { RECORD_VERSION = 2, RECORD_FIELDS = 12 };

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
        if (ledger->balance[i] == 0.0) {
            pack_int(out, 0); // most are, and this is an eighth of a float
        } else {
            pack_real(out, ledger->balance[i]);
        }
    }
    pack_array(out, (uint32_t) ledger->cheat_count);
    for (size_t i = 0; i < ledger->cheat_count; i++) {
        pack_uint(out, ledger->cheat[i]);
    }
    pack_uint(out, ledger->appeals);
    pack_uint(out, ledger->atoned);
    pack_uint(out, ledger->lives);
}

static karma_word_t
read_word(karma_record_t *reader)
{
    bus_view_t text = karma_record_text(reader, 1, KARMA_WORD_MAX);
    if (text.data == NULL) {
        return (karma_word_t){.size = 0}; // the record is bad, and is not used
    }
    return karma_ledger_word(text);
}

bus_err_t
karma_user_decode(bus_view_t record, karma_ledger_t *ret_ledger)
{
    karma_record_t reader = karma_record_begin(record);
    if (karma_record_count(&reader, RECORD_FIELDS) != RECORD_FIELDS ||
        karma_record_uint(&reader) != RECORD_VERSION) {
        return BUS_CORRUPT;
    }
    *ret_ledger = (karma_ledger_t){.created_at = karma_record_uint(&reader)};
    ret_ledger->decayed_at = karma_record_uint(&reader);
    ret_ledger->actions = karma_record_uint(&reader);
    uint64_t ladder = karma_record_uint(&reader);
    ret_ledger->role = read_word(&reader);
    ret_ledger->called = read_word(&reader);
    uint32_t balances = karma_record_count(&reader, KARMA_BALANCE_COUNT);
    for (uint32_t i = 0; i < balances; i++) {
        ret_ledger->balance[i] = karma_record_number(&reader);
    }
    ret_ledger->cheat_count = karma_record_count(&reader, KARMA_CHEATS_MAX);
    for (size_t i = 0; i < ret_ledger->cheat_count; i++) {
        ret_ledger->cheat[i] = karma_record_uint(&reader);
    }
    ret_ledger->appeals = karma_record_uint(&reader);
    ret_ledger->atoned = karma_record_uint(&reader);
    ret_ledger->lives = karma_record_uint(&reader);
    ret_ledger->last_event = karma_record_uint(&reader);
    if (!karma_record_is_whole(&reader) || ladder >= KARMA_ROLE_COUNT) {
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
    pack_uint(scratch, ledger->last_event);
    return store_put(txn, KARMA_USERS, user_id, pack_view(scratch));
}

void
karma_user_hash(const karma_ledger_t *ledger, char ret_hex[KARMA_HASH_SIZE])
{
    BUS_AUTO(pack_destroy) pack_t *record = pack_new();
    karma_user_encode(ledger, record);
    sha256_hex(pack_view(record), ret_hex);
}
