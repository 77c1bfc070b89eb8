// verification_witness.c - what the witness of the audit log keeps. See verification_witness.h.
#include "verification_witness.h"

#include "proto/rfc3339.h"
#include "watch.h"

#include <string.h>

#define STATE_KEY VIEW_LITERAL("witness")

// A row of the table of heads.
typedef struct {
    merkle_hash_t root;
    uint64_t at;
} head_row_t;

void
kernel_verification_witness_init(kernel_verification_witness_t *self)
{
    memset(self, 0, sizeof *self);
    self->note = text_new();
    self->bad_note = text_new();
}

void
kernel_verification_witness_clear(kernel_verification_witness_t *self)
{
    text_destroy(&self->note);
    text_destroy(&self->bad_note);
}

const kernel_verification_head_t *
kernel_verification_witness_last(const kernel_verification_witness_t *self)
{
    return self->head_count == 0 ? NULL : &self->heads[self->head_count - 1];
}

// --- Judging -------------------------------------------------------------------------------------

static kernel_verification_verdict_t
compare(const kernel_verification_witness_t *self, const merkle_head_t *head)
{
    const kernel_verification_head_t *last = kernel_verification_witness_last(self);
    if (last == NULL) {
        return KERNEL_VERIFICATION_FIRST;
    }
    if (head->size != last->head.size) {
        return head->size > last->head.size ? KERNEL_VERIFICATION_LONGER
                                            : KERNEL_VERIFICATION_SHORTER;
    }
    return merkle_equal(&head->root, &last->head.root) ? KERNEL_VERIFICATION_SAME
                                                       : KERNEL_VERIFICATION_FORKED;
}

void
kernel_verification_witness_judge(const kernel_verification_witness_t *self,
                                  bus_view_t note,
                                  bus_view_t vkey,
                                  kernel_verification_told_t *ret_told)
{
    note_checkpoint_t checkpoint;
    note_verifier_t named;
    size_t which = 0;
    *ret_told = (kernel_verification_told_t){.verdict = KERNEL_VERIFICATION_UNSIGNED};
    bool is_known =
        note_checkpoint_open(
            note, self->keys, self->key_count, &checkpoint, &which, &ret_told->why) == BUS_OK;
    if (is_known) {
        ret_told->signer = self->keys[which];
    } else {
        if (note_verifier_parse(vkey, &named) != BUS_OK) {
            return;
        }
        if (self->key_count > 0 && strcmp(named.name, self->keys[0].name) != 0) {
            ret_told->why = "it is of another log: Bucket's store and its key were replaced";
            return;
        }
        if (note_checkpoint_open(note, &named, 1, &checkpoint, &which, &ret_told->why) != BUS_OK) {
            return;
        }
        ret_told->signer = named;
        ret_told->is_new_key = true;
    }
    ret_told->head = checkpoint.head;
    ret_told->verdict = compare(self, &checkpoint.head);
}

// --- Keeping -------------------------------------------------------------------------------------

static void
trust(kernel_verification_witness_t *self, const note_verifier_t *key)
{
    if (self->key_count == KERNEL_VERIFICATION_KEYS_MAX) {
        memmove(self->keys, self->keys + 1, (self->key_count - 1) * sizeof self->keys[0]);
        self->key_count--;
    }
    self->keys[self->key_count++] = *key;
}

// Every second one goes, but the first and the last.
static void
thin(kernel_verification_witness_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->head_count; i++) {
        if (i % 2 == 0 || i == self->head_count - 1) {
            self->heads[kept++] = self->heads[i];
        }
    }
    self->head_count = kept;
    self->heads_are_thin = true;
}

void
kernel_verification_witness_accept(kernel_verification_witness_t *self,
                                   const kernel_verification_told_t *told,
                                   bus_view_t note,
                                   uint64_t now)
{
    if (told->is_new_key) {
        trust(self, &told->signer);
        self->is_dirty = true;
    }
    if (told->verdict == KERNEL_VERIFICATION_SAME && !told->is_new_key) {
        return;
    }
    text_clear(self->note);
    text_add(self->note, note);
    self->is_dirty = true;
    self->first_at = self->first_at == 0 ? now : self->first_at;
    if (told->verdict == KERNEL_VERIFICATION_SAME) {
        return;
    }
    if (self->head_count == KERNEL_VERIFICATION_HEADS_MAX) {
        thin(self);
    }
    self->heads[self->head_count++] = (kernel_verification_head_t){.head = told->head, .at = now};
}

void
kernel_verification_witness_refuse(kernel_verification_witness_t *self, bus_view_t note)
{
    if (!view_equal(text_view(self->bad_note), note)) {
        text_clear(self->bad_note);
        text_add(self->bad_note, note);
        self->is_dirty = true;
    }
}

// --- On disk -------------------------------------------------------------------------------------

static bus_err_t
put_head(const kernel_verification_head_t *head,
         const kernel_verification_tables_t *tables,
         store_txn_t *txn)
{
    head_row_t row = {.root = head->head.root, .at = head->at};
    return store_put(txn, tables->heads, STORE_U64(head->head.size), view_from(&row, sizeof row));
}

static bus_err_t
put_heads(const kernel_verification_witness_t *self,
          const kernel_verification_tables_t *tables,
          store_txn_t *txn)
{
    bus_err_t err = BUS_OK;
    size_t from = self->head_count - 1; // the others are there
    if (self->heads_are_thin) {
        err = store_clear(txn, tables->heads);
        from = 0;
    }
    for (size_t i = from; i < self->head_count && err == BUS_OK; i++) {
        err = put_head(&self->heads[i], tables, txn);
    }
    return err;
}

bus_err_t
kernel_verification_witness_save(kernel_verification_witness_t *self,
                                 const kernel_verification_findings_t *findings,
                                 const kernel_verification_tables_t *tables,
                                 store_txn_t *txn)
{
    if (!self->is_dirty) {
        return BUS_OK;
    }
    BUS_AUTO(pack_destroy) pack_t *row = pack_new();
    pack_map(row, 6);
    pack_pair_uint(row, "first_at", self->first_at);
    pack_pair_uint(row, "forgotten", self->forgotten);
    pack_pair_str(row, "note", text_view(self->note));
    pack_pair_str(row, "bad_note", text_view(self->bad_note));
    pack_text(row, "keys");
    pack_array(row, (uint32_t) self->key_count);
    for (size_t i = 0; i < self->key_count; i++) {
        char vkey[NOTE_VKEY_SIZE];
        note_verifier_format(&self->keys[i], vkey);
        pack_text(row, vkey);
    }
    pack_text(row, "findings");
    kernel_verification_findings_pack(findings, row);
    bus_err_t err = store_put(txn, tables->state, STATE_KEY, pack_view(row));
    if (err == BUS_OK && self->head_count > 0) {
        err = put_heads(self, tables, txn);
    }
    if (err == BUS_OK) { // the caller commits, or the process ends
        self->is_dirty = false;
        self->heads_are_thin = false;
    }
    return err;
}

static bus_err_t
load_heads(kernel_verification_witness_t *self,
           const kernel_verification_tables_t *tables,
           store_txn_t *txn)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key;
    bus_view_t value;
    bus_err_t err = store_cursor_open(txn, tables->heads, &cursor);
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    while (err == BUS_OK && self->head_count < KERNEL_VERIFICATION_HEADS_MAX) {
        head_row_t row;
        kernel_verification_head_t *head = &self->heads[self->head_count];
        if (key.size != sizeof head->head.size || value.size != sizeof row) {
            return BUS_CORRUPT;
        }
        memcpy(&head->head.size, key.data, key.size);
        memcpy(&row, value.data, sizeof row);
        head->head.root = row.root;
        head->at = row.at;
        self->head_count++;
        err = store_next(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
load_keys(kernel_verification_witness_t *self, bus_view_t row)
{
    walk_items_t items = walk_items_at(row, "keys");
    bus_view_t item;
    bus_view_t vkey;
    while (walk_items_next(&items, &item)) {
        if (self->key_count == KERNEL_VERIFICATION_KEYS_MAX || walk_as_str(item, &vkey) != BUS_OK ||
            note_verifier_parse(vkey, &self->keys[self->key_count]) != BUS_OK) {
            return BUS_CORRUPT;
        }
        self->key_count++;
    }
    return BUS_OK;
}

static bus_err_t
load(kernel_verification_witness_t *self,
     kernel_verification_findings_t *findings,
     const kernel_verification_tables_t *tables,
     store_txn_t *txn)
{
    bus_view_t row;
    bus_err_t err = store_get(txn, tables->state, STATE_KEY, &row);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_OK : err;
    }
    self->first_at = walk_uint_at(row, "first_at", 0);
    self->forgotten = walk_uint_at(row, "forgotten", 0);
    text_add(self->note, walk_text_at(row, "note"));
    text_add(self->bad_note, walk_text_at(row, "bad_note"));
    kernel_verification_findings_read(findings, row);
    err = load_keys(self, row);
    err = err == BUS_OK ? load_heads(self, tables, txn) : err;
    bool is_whole = (self->first_at != 0) == (self->head_count > 0) &&
                    (self->head_count > 0) == (self->key_count > 0);
    return err == BUS_OK && !is_whole ? BUS_CORRUPT : err;
}

bus_err_t
kernel_verification_witness_load(kernel_verification_witness_t *self,
                                 kernel_verification_findings_t *findings,
                                 const kernel_verification_tables_t *tables,
                                 store_txn_t *txn)
{
    bus_err_t err = load(self, findings, tables, txn);
    if (err != BUS_CORRUPT) {
        return err;
    }
    uint64_t forgotten = self->forgotten;
    kernel_verification_witness_clear(self);
    kernel_verification_witness_init(self);
    self->forgotten = forgotten + 1;
    self->is_dirty = true;
    self->heads_are_thin = true;
    *findings = (kernel_verification_findings_t){.count = 0};
    return BUS_OK;
}
