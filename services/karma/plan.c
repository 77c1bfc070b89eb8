// plan.c - plans of atonement and their proofs.
//
// A plan's record is [version, wrong, balance of its class, created_at, completed_at, proofs,
// [required…], [progress…]]; a proof's is the map that is answered.
#include "plan.h"
#include "key.h"
#include "proto/rfc3339.h"
#include "record.h"
#include <assert.h>
#include <stdio.h>

enum { RECORD_VERSION = 1, RECORD_FIELDS = 8 };

karma_plan_t
karma_plan_make(uint64_t number,
                bus_view_t wrong,
                const karma_atonement_row_t *atonement,
                uint64_t at)
{
    karma_plan_t plan = {
        .number = number,
        .wrong = karma_ledger_word(wrong),
        .atonement = atonement,
        .created_at = at,
    };
    memcpy(plan.required, atonement->required, sizeof plan.required);
    return plan;
}

bus_view_t
karma_plan_id(const karma_plan_t *self, bus_view_t user_id, char ret_bytes[KARMA_PLAN_ID_MAX + 1])
{
    bus_view_t wrong = karma_ledger_word_view(&self->wrong);
    memcpy(ret_bytes, user_id.data, user_id.size);
    int size = snprintf(ret_bytes + user_id.size,
                        KARMA_PLAN_ID_MAX + 1 - user_id.size,
                        "_%.*s_%llu",
                        (int) wrong.size,
                        wrong.data,
                        (unsigned long long) self->number);
    assert(size > 0 && user_id.size + (size_t) size <= KARMA_PLAN_ID_MAX);
    return view_from(ret_bytes, user_id.size + (size_t) size);
}

// --- The record ----------------------------------------------------------------------------------

static const karma_atonement_row_t *
find_atonement(uint64_t balance)
{
    for (size_t i = 0; i < karma_rules.atonement_count; i++) {
        if (karma_rules.atonements[i].balance == balance) {
            return &karma_rules.atonements[i];
        }
    }
    return NULL;
}

static void
read_amounts(karma_record_t *record, double amounts[KARMA_PRACTICE_COUNT])
{
    uint32_t count = karma_record_count(record, KARMA_PRACTICE_COUNT);
    for (uint32_t i = 0; i < count; i++) {
        amounts[i] = karma_record_real(record);
    }
}

static bus_err_t
decode(bus_view_t bytes, uint64_t number, karma_plan_t *ret_self)
{
    karma_record_t record = karma_record_begin(bytes);
    bool is_ours = karma_record_count(&record, RECORD_FIELDS) == RECORD_FIELDS &&
                   karma_record_uint(&record) == RECORD_VERSION;
    karma_plan_t plan = {.number = number};
    bus_view_t wrong = karma_record_text(&record, 1, KARMA_WORD_MAX);
    plan.atonement = find_atonement(karma_record_uint(&record));
    plan.created_at = karma_record_uint(&record);
    plan.completed_at = karma_record_uint(&record);
    plan.proofs = karma_record_uint(&record);
    read_amounts(&record, plan.required);
    read_amounts(&record, plan.progress);
    if (!is_ours || !karma_record_is_whole(&record) || plan.atonement == NULL) {
        return BUS_CORRUPT;
    }
    plan.wrong = karma_ledger_word(wrong);
    *ret_self = plan;
    return BUS_OK;
}

// The number behind the last '_' of a plan_id, written as we write it. False: there is none.
static bool
read_number(bus_view_t plan_id, uint64_t *ret_number)
{
    size_t from = plan_id.size;
    while (from > 0 && plan_id.data[from - 1] != '_') {
        from--;
    }
    size_t digits = plan_id.size - from;
    if (digits == 0 || digits >= KARMA_PLAN_DIGITS_MAX) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = from; i < plan_id.size; i++) {
        if (plan_id.data[i] < '0' || plan_id.data[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t) (plan_id.data[i] - '0');
    }
    *ret_number = number;
    return true;
}

bus_err_t
karma_plan_find(store_txn_t *txn, bus_view_t user_id, bus_view_t plan_id, karma_plan_t *ret_self)
{
    uint64_t number = 0;
    if (!read_number(plan_id, &number)) {
        return BUS_NOT_FOUND;
    }
    karma_key_t key = karma_key_user(user_id);
    karma_key_add(&key, number);
    bus_view_t bytes;
    bus_err_t err = store_get(txn, KARMA_PLANS, karma_key_view(&key), &bytes);
    karma_plan_t plan;
    if (err == BUS_OK) {
        err = decode(bytes, number, &plan);
    }
    if (err != BUS_OK) {
        return err;
    }
    char id[KARMA_PLAN_ID_MAX + 1];
    if (!view_equal(plan_id, karma_plan_id(&plan, user_id, id))) {
        return BUS_NOT_FOUND;
    }
    *ret_self = plan;
    return BUS_OK;
}

static void
pack_amounts(pack_t *out, const double amounts[KARMA_PRACTICE_COUNT])
{
    pack_array(out, KARMA_PRACTICE_COUNT);
    for (size_t i = 0; i < KARMA_PRACTICE_COUNT; i++) {
        pack_real(out, amounts[i]);
    }
}

bus_err_t
karma_plan_save(store_txn_t *txn, bus_view_t user_id, const karma_plan_t *self, pack_t *scratch)
{
    karma_key_t key = karma_key_user(user_id);
    karma_key_add(&key, self->number);
    pack_clear(scratch);
    pack_array(scratch, RECORD_FIELDS);
    pack_int(scratch, RECORD_VERSION);
    pack_str(scratch, karma_ledger_word_view(&self->wrong));
    pack_uint(scratch, self->atonement->balance);
    pack_uint(scratch, self->created_at);
    pack_uint(scratch, self->completed_at);
    pack_uint(scratch, self->proofs);
    pack_amounts(scratch, self->required);
    pack_amounts(scratch, self->progress);
    return store_put(txn, KARMA_PLANS, karma_key_view(&key), pack_view(scratch));
}

// --- Submissions ---------------------------------------------------------------------------------

bool
karma_plan_submit(karma_plan_t *self, const karma_proof_t *proof)
{
    assert(proof->practice < KARMA_PRACTICE_COUNT && self->completed_at == 0);
    self->progress[proof->practice] = self->progress[proof->practice] + proof->amount;
    self->proofs++;
    for (size_t i = 0; i < KARMA_PRACTICE_COUNT; i++) {
        if (self->progress[i] < self->required[i]) {
            return false;
        }
    }
    self->completed_at = proof->at;
    return true;
}

bus_err_t
karma_plan_keep(store_txn_t *txn,
                bus_view_t user_id,
                const karma_plan_t *self,
                const karma_proof_t *proof,
                pack_t *scratch)
{
    if (self->proofs > KARMA_PROOFS_MAX) {
        return BUS_OK;
    }
    char time[RFC3339_SIZE];
    rfc3339_format(proof->at, time);
    karma_key_t key = karma_key_user(user_id);
    karma_key_add(&key, self->number);
    karma_key_add(&key, self->proofs);
    pack_clear(scratch);
    uint32_t more = (proof->text.data != NULL ? 1U : 0U) + (proof->tx_hash.data != NULL ? 1U : 0U);
    pack_map(scratch, 4 + more);
    pack_pair_text(scratch, "type", karma_rules.practices[proof->practice].word);
    pack_pair_real(scratch, "amount", proof->amount);
    pack_pair_text(scratch, "submitted_at", time);
    pack_pair_text(scratch, "status", "verified"); // nobody is asked, as in the original
    if (proof->text.data != NULL) {
        pack_pair_str(scratch, "text", proof->text);
    }
    if (proof->tx_hash.data != NULL) {
        pack_pair_str(scratch, "tx_hash", proof->tx_hash);
    }
    return store_put(txn, KARMA_PROOFS, karma_key_view(&key), pack_view(scratch));
}

// --- Answers -------------------------------------------------------------------------------------

static void
pack_practices(pack_t *out, const char *name, const double amounts[KARMA_PRACTICE_COUNT])
{
    pack_text(out, name);
    pack_map(out, KARMA_PRACTICE_COUNT);
    for (size_t i = 0; i < KARMA_PRACTICE_COUNT; i++) {
        pack_pair_real(out, karma_rules.practices[i].word, amounts[i]);
    }
}

static bus_err_t
pack_proofs(store_txn_t *txn, bus_view_t user_id, const karma_plan_t *self, pack_t *out)
{
    pack_text(out, "proofs");
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    while (count < self->proofs && count < KARMA_PROOFS_MAX) {
        karma_key_t key = karma_key_user(user_id);
        karma_key_add(&key, self->number);
        karma_key_add(&key, ++count);
        bus_view_t proof;
        bus_err_t err = store_get(txn, KARMA_PROOFS, karma_key_view(&key), &proof);
        if (err == BUS_OK) {
            pack_raw(out, proof);
        } else if (err == BUS_CORRUPT || err == BUS_NOT_FOUND) { // the plan counted it
            pack_map(out, 1);
            pack_pair_text(out, "status", "damaged");
        } else {
            return err;
        }
    }
    pack_count(out, place, count);
    return BUS_OK;
}

bus_err_t
karma_plan_pack(store_txn_t *txn, bus_view_t user_id, const karma_plan_t *self, pack_t *out)
{
    bool is_done = self->completed_at != 0;
    char id[KARMA_PLAN_ID_MAX + 1];
    char created[RFC3339_SIZE];
    char completed[RFC3339_SIZE];
    rfc3339_format(self->created_at, created);
    rfc3339_format(self->completed_at, completed);
    pack_map(out, is_done ? 11 : 10);
    pack_pair_str(out, "plan_id", karma_plan_id(self, user_id, id));
    pack_pair_str(out, "user_id", user_id);
    pack_pair_str(out, "paap_action", karma_ledger_word_view(&self->wrong));
    pack_pair_text(out, "severity_class", karma_rules.balances[self->atonement->balance].class_);
    pack_pair_text(out, "created_at", created);
    pack_pair_text(out, "status", is_done ? "completed" : "pending");
    pack_practices(out, "requirements", self->required);
    pack_practices(out, "progress", self->progress);
    pack_pair_uint(out, "proof_count", self->proofs);
    if (is_done) {
        pack_pair_text(out, "completed_at", completed);
    }
    return pack_proofs(txn, user_id, self, out);
}

bus_err_t
karma_plan_each(store_txn_t *txn, bus_view_t user_id, uint64_t from, karma_plan_fn *fn, void *arg)
{
    karma_key_t own = karma_key_user(user_id);
    karma_key_t first = own;
    karma_key_add(&first, from);
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, KARMA_PLANS, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t key;
    bus_view_t value;
    err = store_seek(cursor, karma_key_view(&first), &key, &value);
    while (err == BUS_OK && view_starts(key, karma_key_view(&own))) {
        karma_plan_t plan;
        err = decode(value, karma_key_last(key), &plan);
        if (err == BUS_OK) {
            err = fn(arg, &plan);
        }
        if (err != BUS_OK) {
            return err;
        }
        err = store_next(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}
